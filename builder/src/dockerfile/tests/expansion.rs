use super::*;

const VARIABLES: &[(&str, &str)] = &[
    ("A", "a"),
    ("EMPTY", ""),
    ("PATH", "/usr/bin:/bin"),
    ("SPACED", "x y"),
    ("KO", "한글"),
    ("T", "aabbcc"),
    ("F", "archive.tar.gz"),
    ("STAR", "a*b*c"),
];

fn expand(word: &str) -> Result<String, String> {
    let variables = map(VARIABLES);
    Expander::new(&variables, '\\')
        .expand(word)
        .map(|expansion| expansion.text)
        .map_err(|error| error.message)
}

#[test]
fn forms_of_variables() {
    for (word, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("$A", "a"),
        ("${A}", "a"),
        ("x$A-y", "xa-y"),
        ("$A$A", "aa"),
        ("$AB", ""),
        ("${A}B", "aB"),
        ("$", "$"),
        ("a$", "a$"),
        ("$ A", "$ A"),
        ("$.", "$."),
        ("$1", ""),
        ("$12x", "x"),
        ("$$A", "A"),
        ("$@", ""),
        ("${UNSET}", ""),
        ("${UNSET:-d}", "d"),
        ("${UNSET-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${A:-d}", "a"),
        ("${A-d}", "a"),
        ("${UNSET:+d}", ""),
        ("${UNSET+d}", ""),
        ("${EMPTY:+d}", ""),
        ("${EMPTY+d}", "d"),
        ("${A:+d}", "d"),
        ("${A+d}", "d"),
        ("${A:?no}", "a"),
        ("${A?no}", "a"),
        ("${EMPTY?no}", ""),
        ("${UNSET:-${A}}", "a"),
        ("${UNSET:-${UNSET:-$A}b}c", "abc"),
        ("${UNSET:-'}'}", "}"),
        ("${UNSET:-\\}}", "}"),
        ("${A:+}", ""),
        ("$KO", "한글"),
        ("ä${KO}ö", "ä한글ö"),
        ("${KO#한}", "글"),
        ("${T#a}", "abbcc"),
        ("${T#a*b}", "bcc"),
        ("${T##a*b}", "cc"),
        ("${T%c}", "aabbc"),
        ("${T%b*c}", "aab"),
        ("${T%%b*c}", "aa"),
        ("${T%%*}", ""),
        ("${T#x}", "aabbcc"),
        ("${T#?}", "abbcc"),
        ("${F%.*}", "archive.tar"),
        ("${F%%.*}", "archive"),
        ("${F##*.}", "gz"),
        ("${STAR#a\\*}", "b*c"),
        ("${UNSET#x}", ""),
        ("${T/b/X}", "aaXbcc"),
        ("${T//b/X}", "aaXXcc"),
        ("${T/b*/X}", "aaX"),
        ("${T/x/X}", "aabbcc"),
        ("${T//b/}", "aacc"),
        ("${PATH//:/ }", "/usr/bin /bin"),
        ("${PATH//\\//_}", "_usr_bin:_bin"),
        ("${T/b/$A}", "aaabcc"),
    ] {
        assert_eq!(expand(word), Ok(expected.to_owned()), "{word}");
    }
}

#[test]
fn quotes_and_escapes() {
    for (word, expected) in [
        ("'$A'", "$A"),
        ("\"$A\"", "a"),
        ("\"'$A'\"", "'a'"),
        ("'\"'", "\""),
        ("\\$A", "$A"),
        ("a\\nb", "anb"),
        ("\"a\\nb\"", "a\\nb"),
        ("\"\\\"\\$\\\\\"", "\"$\\"),
        ("'a\\'", "a\\"),
        ("a\\", "a"),
        ("a\\\\b", "a\\b"),
        ("\"\"", ""),
        ("he'l'l\"o\"", "hello"),
        ("<a", "<a"),
        ("<< a", "<< a"),
    ] {
        assert_eq!(expand(word), Ok(expected.to_owned()), "{word}");
    }
}

#[test]
fn a_backtick_escapes_where_the_directive_says_so() {
    let variables = map(VARIABLES);
    let expander = Expander::new(&variables, '`');
    for (word, expected) in [
        ("`$A", "$A"),
        ("c:\\x\\$A", "c:\\x\\a"),
        ("\"`\"\"", "\""),
        ("\"\\n\"", "\\n"),
    ] {
        let text = expander.expand(word).map(|e| e.text);
        assert_eq!(text, Ok(expected.to_owned()), "{word}");
    }
}

#[test]
fn words_are_split_outside_quotes() {
    let variables = map(VARIABLES);
    let expander = Expander::new(&variables, '\\');
    for (text, expected) in [
        ("a b", vec!["a", "b"]),
        (" a  b ", vec!["a", "b"]),
        ("$SPACED z", vec!["x", "y", "z"]),
        ("\"$SPACED\" z", vec!["x y", "z"]),
        ("a\\ b c", vec!["a b", "c"]),
        ("'' a", vec!["a"]),
        ("", vec![]),
        ("$UNSET", vec![]),
        ("p$SPACED", vec!["px", "y"]),
    ] {
        let words = expander.expand(text).map(|e| e.words);
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(words, Ok(expected), "{text}");
    }
}

#[test]
fn bodies_keep_their_quotes() {
    let variables = map(VARIABLES);
    let expander = Expander::for_body(&variables);
    for (text, expected) in [
        ("\"$A\" 'x $A'\n", "\"a\" 'x a'\n"),
        ("it's", "it's"),
        ("a\\nb \\$A", "anb $A"),
    ] {
        let text_out = expander.expand(text).map(|e| e.text);
        assert_eq!(text_out, Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn mistakes_are_told() {
    for (word, message) in [
        ("'a", "single quote is never closed"),
        ("\"a", "double quote is never closed"),
        ("\"a\\", "double quote is never closed"),
        ("${", "`${` has no variable name"),
        ("${}", "`${` has no variable name"),
        ("${:-x}", "`${` has no variable name"),
        ("${{A}}", "`${` has no variable name"),
        ("${.}", "`${` has no variable name"),
        ("${A", "`${` is never closed"),
        ("${A:-", "`${` is never closed"),
        ("${A:", "`${` is never closed"),
        ("${A:-${A}", "`${` is never closed"),
        ("${A,}", "`${A,` is not a known form"),
        ("${A:}", "`${A:}` is not a known form"),
        ("${A:/x/y}", "`${A:/` is not a known form"),
        ("${A^^}", "`${A^` is not a known form"),
        ("${A:0:1}", "`${A:0` is not a known form"),
        ("${A/x}", "replacement in `${` has no second `/`"),
        ("${A/x/y", "`${` is never closed"),
        ("${UNSET:?}", "UNSET: is not allowed to be unset"),
        ("${UNSET?}", "UNSET: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${UNSET:?give $A}", "UNSET: give a"),
        ("${EMPTY:?x}", "EMPTY: x"),
        ("${A#\\x}", "`\\x` is not an escape"),
    ] {
        assert_eq!(expand(word), Err(message.to_owned()), "{word}");
    }
}

#[test]
fn variables_without_value_or_default_are_named() {
    let variables = map(VARIABLES);
    let unset = Expander::new(&variables, '\\')
        .expand("$A$B${C}${D:-x}${E#x}\"$F1\"'$G'\\$H")
        .map(|expansion| expansion.unset.into_iter().collect::<Vec<_>>());
    assert_eq!(unset, Ok(["B", "C", "E", "F1"].map(str::to_owned).to_vec()));
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = "${A:+".repeat(100_000) + "x" + &"}".repeat(100_000);
    assert_eq!(
        expand(&deep),
        Err("variables are nested too deeply".to_owned())
    );
    let fine = "${A:+".repeat(20) + "x" + &"}".repeat(20);
    assert_eq!(expand(&fine), Ok("x".to_owned()));
    let big = map(&[("B", &"b".repeat(1_000))]);
    let expander = Expander::new(&big, '\\').limit(10_000);
    assert!(expander.expand(&"$B".repeat(11)).is_err());
    assert!(expander.expand(&"$B".repeat(10)).is_ok());
}
