//! `--html`: the page of a run, opened in a real browser.

use std::path::PathBuf;
use std::sync::OnceLock;

use base64::Engine as _;
use kolla_tests::browser::Browser;
use kolla_tests::{Fleet, Kolla, eventually};
use serde_json::json;

/// Keys as WebDriver names them.
const ESCAPE: char = '\u{e00c}';
const ENTER: char = '\u{e007}';
const RIGHT: char = '\u{e014}';

/// Prints what a log must not do to the page, and fails.
const HOSTILE: &str = r#"{% extends "layouts/image.tera" %}
{% block from %}FROM {{ image(name="base") }}{% endblock from %}
{% block files %}
RUN echo '</pre></script><script>document.title = "owned"</script>' && \
    echo '<img src=x onerror="document.title = 1"><a href="javascript:alert(1)">' && \
    printf '\033[1;31mred\033[0m \000 \377\376 \033]0;title\007 seen\n' && \
    printf ' 10%%\r 99%%\rall of it\n' && echo the last words && false
{% endblock files %}
"#;

/// A tiny fleet whose `web-base` fails, built once for all tests; and the page of that.
fn page() -> Option<PathBuf> {
    static PAGE: OnceLock<(Fleet, PathBuf)> = OnceLock::new();
    kolla_tests::setting("KOLLA_TEST_CHROMEDRIVER")?;
    let (_, page) = PAGE.get_or_init(|| {
        let fleet = Fleet::tiny();
        fleet.write("services/web/web-base/Dockerfile.tera", HOSTILE);
        fleet.commit();
        let kolla = Kolla::without_engine(&fleet);
        let page = fleet.path("run.html");
        let run = kolla.run(&[
            "build",
            "--engine",
            "native",
            "--format",
            "json",
            "--html",
            page.to_str().unwrap(),
        ]);
        let run = run.exits(1);
        assert_eq!(run.images("built"), ["base", "plain"]);
        assert_eq!(run.images("failed"), ["web-base"]);
        (fleet, page)
    });
    Some(page.clone())
}

fn opened(dark: bool) -> Option<(Browser, PathBuf)> {
    let page = page()?;
    let browser = Browser::start(dark)?;
    browser.open(&page);
    Some((browser, page))
}

/// The images that the table shows, in its order.
const SHOWN: &str = "return [...document.querySelectorAll('#images tbody tr:not([hidden])')]
    .map((row) => row.dataset.name)";

#[test]
fn the_page_renders_and_nothing_in_a_log_becomes_a_part_of_it() {
    let Some((browser, page)) = opened(false) else {
        return;
    };
    assert_eq!(
        browser.script("return document.title"),
        "failed: kolla build"
    );
    let count = |selector: &str| {
        browser.script(&format!(
            "return document.querySelectorAll('{selector}').length"
        ))
    };
    assert_eq!(count(".node"), 6);
    assert_eq!(count(".chart a.bar"), 3);
    assert_eq!(count(".chart a.bar.failed"), 1);
    assert_eq!(count("#images tbody tr"), 6);
    assert_eq!(count("img, script + *, a[href^=javascript]"), 0);
    assert_eq!(count("script"), 1);
    let failure = browser.script("return document.querySelector('#failures').innerText");
    let failure = failure.as_str().unwrap();
    for text in [
        "web-base",
        "</pre></script><script>document.title = \"owned\"</script>",
        "<img src=x onerror=",
        "red  \u{fffd}\u{fffd}  seen",
        "\nall of it\n",
        "the last words",
        "It blocked",
    ] {
        assert!(failure.contains(text), "no {text:?} in {failure:?}");
    }
    // Drawn, and not only there.
    let wide =
        "const box = document.querySelector('.chart a.bar.failed .body').getBoundingClientRect();
        return box.width > 0 && box.height > 10";
    assert_eq!(browser.script(wide), true);
    let bytes = std::fs::read(&page).unwrap();
    assert!(!bytes.contains(&0) && !bytes.contains(&0x1b));
    assert_eq!(browser.console(), Vec::<serde_json::Value>::new());
}

#[test]
fn filters_narrow_everything_down() {
    let Some((browser, _)) = opened(false) else {
        return;
    };
    browser.click(".chip.failed");
    assert_eq!(browser.script(SHOWN), json!(["web-base"]));
    browser.click(".chip.blocked");
    assert_eq!(
        browser.script(SHOWN),
        json!(["web-base", "web-api", "tool", "web-worker"])
    );
    browser.write("#words", "web-w");
    eventually("one image is left", || {
        browser.script(SHOWN) == json!(["web-worker"])
    });
    let out = "return document.querySelectorAll('.node:not(.out)').length";
    assert_eq!(browser.script(out), 1);
    assert_eq!(
        browser.script("return document.querySelector('#shown').textContent"),
        "1 of 6 images"
    );
    browser.click("#reset");
    assert_eq!(browser.script(SHOWN).as_array().unwrap().len(), 6);
    // Of logs too, where that is asked for.
    browser.write("#words", "plain > /plain");
    eventually("none is left", || browser.script(SHOWN) == json!([]));
    browser.click("#in-logs");
    assert_eq!(browser.script(SHOWN), json!(["plain"]));
    assert_eq!(browser.console(), Vec::<serde_json::Value>::new());
}

#[test]
fn the_table_is_sorted_by_a_click_on_its_head() {
    let Some((browser, _)) = opened(false) else {
        return;
    };
    browser.click("th[data-key=name] button");
    assert_eq!(
        browser.script(SHOWN),
        json!(["base", "plain", "tool", "web-api", "web-base", "web-worker"])
    );
    browser.click("th[data-key=name] button");
    assert_eq!(browser.script(SHOWN)[0], "web-worker");
    let sorted = "return document.querySelector('th[data-key=name]').getAttribute('aria-sort')";
    assert_eq!(browser.script(sorted), "descending");
}

#[test]
fn an_image_is_found_with_the_keyboard_and_shows_its_log() {
    let Some((browser, _)) = opened(false) else {
        return;
    };
    // From `base`, the only stop of the graph, to what is made from it, and open it.
    browser.script("document.querySelector('.node[tabindex=\"0\"]').focus()");
    browser.press(RIGHT);
    let focused = "return document.activeElement.querySelector('title').textContent.split(':')[0]";
    assert_eq!(browser.script(focused), "plain");
    let related = "return [...document.querySelectorAll('.node.related')].length";
    assert_eq!(browser.script(related), 2);
    browser.press(ENTER);
    let open = "const shown = [...document.querySelectorAll('article')]
        .filter((a) => getComputedStyle(a).display !== 'none');
        return shown.map((a) => a.querySelector('h3').textContent)";
    eventually("the details of one image are open", || {
        browser.script(open) == json!(["plain"])
    });
    browser.press(ESCAPE);
    eventually("they are closed", || browser.script(open) == json!([]));
    assert_eq!(browser.script(focused), "plain");

    browser.click("#images tr[data-name=web-base] a");
    browser.click("article:target .log summary");
    browser.write("article:target .search input", "LAST WORDS");
    let found = "return document.querySelector('article:target .found mark')?.textContent ?? null";
    eventually("the line is found", || {
        browser.script(found) == "last words"
    });
    assert_eq!(browser.console(), Vec::<serde_json::Value>::new());
}

#[test]
fn pointing_at_an_image_shows_what_it_stands_on_and_what_stands_on_it() {
    let Some((browser, _)) = opened(false) else {
        return;
    };
    let related = "return [...document.querySelectorAll('.node.related')]
        .map((node) => node.querySelector('title').textContent.split(':')[0]).sort()";
    let web_api = "return [...document.querySelectorAll('#images tbody tr')]
        .find((row) => row.dataset.name === 'web-api').dataset.image";
    let image = browser.script(web_api);
    browser.point(&format!(".node[data-image={image}]"));
    assert_eq!(
        browser.script(related),
        json!(["base", "tool", "web-api", "web-base"])
    );
}

#[test]
fn no_request_leaves_the_page() {
    let Some((browser, page)) = opened(true) else {
        return;
    };
    browser.click("#images tr[data-name=web-base] a");
    browser.click("article:target .log summary");
    let own = format!("file://{}", page.display());
    for url in browser.requests() {
        let url = url.split('#').next().unwrap_or_default();
        assert!(url == own || url.starts_with("data:"), "{url}");
    }
    assert_eq!(browser.console(), Vec::<serde_json::Value>::new());
    // Nor could one, if somebody got a script in.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let tried = browser.script(&format!(
        "const url = 'http://127.0.0.1:{port}/';
         const image = new Promise((done) => {{
             const image = new Image();
             image.onload = () => done('loaded');
             image.onerror = () => done('refused');
             image.src = url;
         }});
         return Promise.all([image, fetch(url).then(() => 'loaded', () => 'refused')])"
    ));
    assert_eq!(tried, json!(["refused", "refused"]));
    assert!(listener.accept().is_err());
    let scheme = "return getComputedStyle(document.body).colorScheme";
    assert_eq!(browser.script(scheme), "dark");
}

#[test]
fn it_is_printed_without_what_only_a_screen_needs() {
    let Some((browser, _)) = opened(true) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("page.pdf");
    let bytes = base64::engine::general_purpose::STANDARD.decode(browser.print());
    let bytes = bytes.unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    std::fs::write(&pdf, bytes).unwrap();
    let text = std::process::Command::new("pdftotext")
        .args(["-layout", pdf.to_str().unwrap(), "-"])
        .output()
        .unwrap();
    assert!(text.status.success());
    let text = String::from_utf8(text.stdout).unwrap();
    // A page ends with a form feed.
    assert!(text.matches('\u{c}').count() >= 1, "{text}");
    for printed in [
        "failed",
        "Graph",
        "web-worker",
        "the last words",
        "Size",
        "blocked by web-base",
    ] {
        assert!(text.contains(printed), "no {printed:?} in {text}");
    }
    for left_out in [
        "Filter",
        "in logs too",
        "Timeline",
        "its steps and its log",
        "Fingerprint",
    ] {
        assert!(!text.contains(left_out), "{left_out:?} in {text}");
    }
}

#[test]
fn what_the_gate_found_is_with_each_image() {
    let Some(browser) = Browser::start(false) else {
        return;
    };
    let fleet = Fleet::tiny();
    let large = "<b>large</b>";
    fleet.append(
        "kolla.toml",
        "\n[gate]\noff = [\"user\"]\nmax_size = \"200M\"\n",
    );
    let limit = |image: &str| format!("\n[images.{image}.gate]\nmax_size = \"10k\"\n");
    fleet.append("services/web/service.toml", &limit("web-base"));
    fleet.append("services/plain/service.toml", &limit("plain"));
    fleet.append(
        "services/plain/service.toml",
        &format!(
            "[[images.plain.gate.waivers]]\ncheck = \"size\"\nreason = \"{large}\"\nuntil = \"2999-01-01\"\n"
        ),
    );
    let page = fleet.path("gate.html");
    let kolla = Kolla::without_engine(&fleet).with("KOLLA_ENGINE", "native");
    let arguments = ["gate", "--html", page.to_str().unwrap()];
    kolla.run(&arguments).exits(1);
    browser.open(&page);
    let failure = browser.script("return document.querySelector('#failures').innerText");
    assert!(failure.as_str().unwrap().contains("size: its files have"));
    let told = |image: &str| {
        let text = browser.script(&format!(
            "const all = [...document.querySelectorAll('#details article')];
             const one = all.find((a) => a.getAttribute('aria-label') == '{image}');
             return [...one.querySelectorAll('.checks tr')].map((row) => row.textContent).join('\\n')"
        ));
        text.as_str().unwrap().to_owned()
    };
    let line = |image: &str, check: &str| {
        let all = told(image);
        let found = all.lines().find(|line| line.contains(check));
        found
            .unwrap_or_else(|| panic!("no {check} in {all:?}"))
            .to_owned()
    };
    assert!(line("base", "size").starts_with("passed"));
    let refused = line("web-base", "size");
    assert!(
        refused.starts_with("failed") && refused.contains("its files have"),
        "{refused}"
    );
    let waived = line("plain", "size");
    assert!(waived.starts_with("waived"), "{waived}");
    // As a text, not as what it says.
    assert!(
        waived.contains(&format!("waived until 2999-01-01: {large}")),
        "{waived}"
    );
    assert_eq!(browser.console(), Vec::<serde_json::Value>::new());
}

#[test]
fn a_file_that_cannot_be_written_is_found_before_anything_is_built() {
    if kolla_tests::setting("KOLLA_TEST_BUSYBOX").is_none() {
        return;
    }
    let fleet = Fleet::tiny();
    let kolla = Kolla::without_engine(&fleet);
    let page = fleet.path("none/run.html");
    kolla
        .run(&[
            "build",
            "--engine",
            "native",
            "--html",
            page.to_str().unwrap(),
        ])
        .exits(3)
        .says("cannot write")
        .says("its folder has to be there")
        .hides("base | build");
}
