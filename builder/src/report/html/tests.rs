use super::super::summary::{Failure, Status};
use super::fixture::{Synthetic, finished, large, log, started, step};
use crate::event::{Ending, Event};
use crate::model::{Class, ServiceName};

/// Of a page: the text between two marks, the first of which begins it.
fn part<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let start = page.find(from).unwrap_or_else(|| panic!("no {from:?}"));
    let end = page[start..]
        .find(to)
        .unwrap_or_else(|| panic!("no {to:?}"));
    &page[start..start + end]
}

/// `base`, on it `web`, which fails, and on that `api`, which is blocked.
fn failing() -> Synthetic {
    let mut run = Synthetic::new();
    run.add("base", Status::Built, &[]).size = Some(80_000_000);
    run.add("web", Status::Failed, &["base"]);
    run.add("api", Status::Blocked, &["web"]).failure = Some(Failure {
        class: Class::Build,
        message: "`web`, which it is made from, failed".into(),
        hints: Vec::new(),
        blocked_by: Some(super::fixture::image("web")),
    });
    run.at(1.0, started("base", 1));
    run.at(1.5, step("base", 1, "FROM scratch"));
    run.at(3.0, finished("base", Ending::Done { pushed: None }));
    run.at(3.0, started("web", 1));
    run.at(3.5, step("web", 1, "FROM base"));
    run.at(3.6, step("web", 2, "RUN make"));
    for line in 0..50 {
        run.at(4.0, log("web", &format!("line {line}")));
    }
    run.fail(5.0, "web", "step 2 failed with status 1: RUN make");
    run
}

#[test]
fn a_failure_comes_first_with_the_end_of_its_step() {
    let page = failing().html();
    let failures = part(&page, "<section id=\"failures\"", "</section>");
    assert!(failures.contains("step 2 failed with status 1: RUN make"));
    assert!(failures.contains("[2/5] RUN make"));
    assert!(failures.contains("line 49\n") && !failures.contains("line 29\n"));
    assert!(failures.contains("It blocked <a href=\"#image-2\">api</a>"));
    assert!(failures.contains("look at the log"));
    assert!(page.find("id=\"failures\"") < page.find("id=\"timeline\""));
    assert!(
        page.contains("<span class=\"verdict failed\">failed</span> 1 built, 1 failed, 1 blocked")
    );
}

#[test]
fn images_that_were_worked_on_have_bars_and_the_longest_chain_is_marked() {
    let page = failing().html();
    let chart = part(&page, "<section id=\"timeline\"", "</section>");
    assert_eq!(
        chart.matches("<a href=").count(),
        2 + 2,
        "bars, and links of the chain"
    );
    assert!(chart.contains("class=\"bar built critical\""));
    assert!(chart.contains("class=\"bar failed critical\""));
    assert!(chart.contains("Critical path, 4.0 s"));
    assert!(!chart.contains("api"));
}

#[test]
fn a_run_that_did_nothing_is_a_page_too() {
    let page = Synthetic::new().html();
    assert!(page.contains("nothing to do"));
    assert!(!page.contains("id=\"timeline\""));
    let mut reused = Synthetic::new();
    reused.add("base", Status::Reused, &[]);
    assert!(reused.html().contains("1 reused"));
}

#[test]
fn tries_and_pauses_are_seen() {
    let mut run = Synthetic::new();
    run.add("base", Status::Built, &[]);
    run.at(0.0, started("base", 1));
    run.at(
        2.0,
        Event::Retrying {
            image: super::fixture::image("base"),
            attempt: 2,
            pause_ms: 1000,
            reason: "503 from the <mirror>".into(),
        },
    );
    run.at(3.0, started("base", 2));
    run.at(4.0, finished("base", Ending::Done { pushed: None }));
    let page = run.html();
    let chart = part(&page, "<svg class=\"chart\"", "</section>");
    assert!(
        chart.contains("class=\"try\" x=\"0%\"") && chart.contains("class=\"pause\" x=\"50%\"")
    );
    assert!(chart.contains("base ×2"));
    assert!(page.contains("503 from the &lt;mirror&gt;"));
}

#[test]
fn own_layers_are_told_from_inherited_ones() {
    let mut run = Synthetic::new();
    run.add("base", Status::Built, &[]).size = Some(80_000_000);
    run.add("web", Status::Built, &["base"]).size = Some(92_000_000);
    let page = run.html();
    assert!(page.contains("92 MB: 12 MB of its own, 80 MB inherited"));
}

/// Everything a stranger can write, in every place that strangers write to.
#[test]
fn no_text_of_a_log_or_a_definition_is_markup() {
    const HOSTILE: &str = "</script></pre></title><img src=x onerror=alert(1)><!-- \"' onload=\"x\" <svg/onload=alert(1)> {{7*7}} \0\x1b[31mred\x1b[0m\u{202e}";
    let mut run = failing();
    run.summary.engine = HOSTILE.into();
    {
        let web = &mut run.summary.images[1];
        web.reason = HOSTILE.into();
        web.service = ServiceName::new("web").unwrap();
        web.log = Some(HOSTILE.into());
        let failure = web.failure.as_mut().unwrap();
        failure.message = HOSTILE.into();
        failure.hints = vec![HOSTILE.into()];
    }
    run.summary.images[0].reason = HOSTILE.into();
    run.summary.images[0].id = Some(crate::model::ImageId::new(HOSTILE));
    run.at(6.0, started("api", 1));
    run.at(6.0, step("api", 1, HOSTILE));
    run.at(6.0, log("api", HOSTILE));
    run.at(
        6.0,
        log("api", &String::from_utf8_lossy(b"\xff\xfe<b>\xc3")),
    );
    run.at(
        6.0,
        Event::Preparing {
            what: HOSTILE.into(),
        },
    );
    run.at(
        6.5,
        Event::Retrying {
            image: super::fixture::image("api"),
            attempt: 2,
            pause_ms: 1,
            reason: HOSTILE.into(),
        },
    );
    let page = run.html();
    let tame = failing().html();
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    for markup in ["<img", "<!--", "<svg/", "</script></pre>"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(
        page.matches("<title").count(),
        page.matches("</title").count()
    );
    assert_eq!(
        tame.matches("</script").count(),
        page.matches("</script").count()
    );
    assert!(!page.contains(['\0', '\x1b', '\u{202e}']));
    assert!(page.contains("red"));
}

#[test]
fn the_page_names_no_address_and_allows_its_own_script_alone() {
    let page = failing().html();
    let policy = part(&page, "Content-Security-Policy", ">");
    assert!(policy.contains("default-src &#39;none&#39;"));
    assert!(!policy.contains("unsafe"));
    for text in [super::SCRIPT, super::STYLE] {
        assert!(policy.contains(&super::source_of(text)));
        assert!(!text.contains("</"), "it would end early");
    }
    let without_icon = page
        .replace("xmlns='http://www.w3.org/2000/svg'", "")
        .replace("xmlns=&#39;http://www.w3.org/2000/svg&#39;", "");
    for address in ["http:", "https:", "//", "src="] {
        let found = without_icon
            .replace(super::SCRIPT, "")
            .replace(super::STYLE, "");
        assert!(!found.contains(address), "{address}");
    }
    for attribute in [" style=", " onclick=", " onload="] {
        assert!(!page.contains(attribute), "{attribute}");
    }
}

#[test]
fn long_logs_are_cut_and_it_is_said_where_they_are_whole() {
    let mut run = failing();
    for line in 0..100_000 {
        run.at(4.0, log("base", &format!("{line:060}")));
    }
    let page = run.html();
    assert!(page.len() < 1 << 20, "{}", page.len());
    assert!(
        page.contains(
            "left out here to keep the page small; all are in <code>/cache/logs/1/base.log"
        )
    );
    assert!(page.contains("100000 lines"));
}

/// Every log is cut.
#[test]
fn two_hundred_images_with_long_logs_stay_below_a_bound() {
    let page = large(200, 6_000).html();
    assert!(page.len() < 12 << 20, "{}", page.len());
    assert_eq!(page.matches("<article").count(), 200);
    assert_eq!(page.matches("class=\"node ").count(), 200);
}
