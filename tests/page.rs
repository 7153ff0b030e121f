//! The status page in headless Chromium, over a status of 500 partitions that no broker stands behind.

#![allow(unreachable_pub, dead_code)] // a test exports nothing, and uses a part of what others share

#[path = "page/browser.rs"]
mod browser;
#[path = "worker/process.rs"]
mod process;
#[path = "page/scrapes.rs"]
mod scrapes;
#[path = "page/secrets.rs"]
mod secrets;
#[path = "page/stage.rs"]
mod stage;

use browser::Browser;
use stage::Stage;
use std::path::Path;

/// What stands in the first row: what needs a person comes first.
const HELD: &str = "held because <img src=x onerror=document.body.remove()> is no metadata";

fn opened(width: u32, scheme: &str) -> (Stage, Browser) {
    let stage = Stage::with_partitions(500);
    let mut browser = Browser::start();
    browser.open(&stage.url(), width, 1000, scheme);
    (stage, browser)
}

#[test]
fn it_shows_what_the_status_says_and_the_console_stays_empty() {
    let (stage, mut browser) = opened(1600, "light");
    assert_eq!(browser.text("#name"), "flight-delays");
    assert_eq!(browser.text("#ready"), "not ready");
    assert!(browser.text("#reasons").contains("held flights[7] because"), "{}", browser.text("#reasons"));
    assert_eq!(browser.text("#partitions-more"), "1 held · 1 paused · 3 restoring · 495 live");
    assert_eq!(browser.text("#rows tr td.name"), "flights[7]");
    assert_eq!(browser.text("#rows tr td.says"), HELD, "text of others is text");
    assert_eq!(browser.text("#lanes li b"), "lane 0");
    assert!(browser.text("#log").contains("transaction is aborted"), "{}", browser.text("#log"));
    assert!(browser.text("#memory-more").contains("parked"), "{}", browser.text("#memory-more"));
    assert_eq!(browser.text("#ladder [aria-current]"), "shared views");
    assert_eq!(browser.text("#read"), "120,000");
    let ages: Vec<_> =
        (1..=4).map(|age| browser.text(&format!("#ages > div:nth-child({age})")).replace('\n', " ")).collect();
    let expected = [
        "1,000 windows not ended yet in 500 partitions",
        "500 windows ended, in their grace in 500 partitions",
        "0 windows past their grace by the wall clock",
        "0 windows closed, waiting for their commit",
    ];
    assert_eq!(ages.iter().map(|age| age.trim()).collect::<Vec<_>>(), expected);
    // The next answer has other words, and the page follows.
    stage.heal(7);
    let drawn = browser.run("Number(document.body.dataset.drawn)").as_u64().unwrap();
    browser.until_drawn(drawn as u32 + 2);
    assert_eq!(browser.text("#partitions-more"), "1 paused · 3 restoring · 496 live");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_lane_that_is_stuck_is_red_on_the_page_and_in_a_terminal() {
    let (stage, mut browser) = opened(1600, "light");
    assert_eq!(
        (browser.text("#lanes li .badge"), browser.text("#lanes li .quiet")),
        ("running".into(), "125 partitions".into())
    );
    stage.hang(0);
    let drawn = browser.run("Number(document.body.dataset.drawn)").as_u64().unwrap();
    browser.until_drawn(drawn as u32 + 2);
    assert_eq!(browser.text("#lanes li .badge"), "stuck");
    assert_eq!(browser.text("#lanes li .quiet"), "125 partitions · last step 1 min ago");
    for badge in ["#ready", "#lanes li .badge"] {
        assert_eq!(browser.run(&format!("document.querySelector('{badge}').className")), "badge bad");
    }
    assert!(browser.text("#reasons").contains("lane 0 stuck: no step for 75 s"), "{}", browser.text("#reasons"));
    let frame = stage.frame();
    for words in
        ["lane 0 stuck: no step for 75 s", "lanes   0 stuck, owns 125, last step 1 min 15 s ago  1 running, owns 125"]
    {
        assert!(frame.contains(words), "{words} is not in\n{frame}");
    }
}

#[test]
fn top_prints_the_same_status_once() {
    let stage = Stage::with_partitions(500);
    let frame = stage.frame();
    for words in
        [" not ready  flight-delays  worker-0", "read 120000/s", "500 partitions", HELD, "ERROR partition is held"]
    {
        assert!(frame.contains(words), "{words} is not in\n{frame}");
    }
    assert!(frame.find("\nflights[7]") < frame.find("\nflights[0]"), "what needs somebody comes first:\n{frame}");
}

#[test]
fn five_hundred_partitions_are_sorted_found_and_turned_over_in_pages() {
    let (_stage, mut browser) = opened(1600, "dark");
    let rows = "document.querySelectorAll('#rows tr').length";
    assert_eq!(browser.run(rows), 50);
    assert_eq!(browser.text("#page-of"), "page 1 of 10");
    for _ in 0..9 {
        browser.run("document.getElementById('after').click()");
    }
    assert_eq!(
        (browser.text("#page-of"), browser.run("document.getElementById('after').disabled")),
        ("page 10 of 10".into(), true.into())
    );
    assert_eq!(browser.text("#rows tr:last-child td.name"), "flights[499]");
    let sort = "[...document.querySelectorAll('#heads button')].find((it) => it.textContent === 'lag').click()";
    browser.run(sort);
    browser.run(sort);
    assert_eq!(browser.text("#rows tr td.name"), "flights[499]", "the longest lag first");
    assert_eq!(browser.run("document.querySelector('[aria-sort]').ariaSort"), "descending");
    let find = |text: &str| {
        format!(
            "{{ const find = document.getElementById('find'); find.value = {text:?}; find.dispatchEvent(new Event('input')) }}"
        )
    };
    browser.run(&find("flights[42]"));
    assert_eq!((browser.run(rows), browser.text("#partitions-more")), (1.into(), "1 of 500".into()));
    browser.run(&find("restoring: 40"));
    assert_eq!(browser.text("#rows tr td.state"), "restoring");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn an_answer_that_changes_little_changes_little_of_the_page() {
    let (_stage, mut browser) = opened(1600, "light");
    browser.run(
        "window.changed = 0; new MutationObserver((all) => window.changed += all.length)\
         .observe(document.getElementById('rows'), { subtree: true, childList: true, characterData: true, attributes: true })",
    );
    let drawn = browser.run("Number(document.body.dataset.drawn)").as_u64().unwrap();
    browser.until_drawn(drawn as u32 + 2);
    assert_eq!(browser.run("window.changed"), 0);
}

#[test]
fn it_fits_narrow_and_wide_windows_in_light_and_dark() {
    let (_stage, mut browser) = opened(1600, "light");
    let url = browser.run("location.href").as_str().unwrap().to_owned();
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut papers = Vec::new();
    for (width, scheme) in [(1600, "light"), (1600, "dark"), (900, "light"), (360, "light"), (360, "dark")] {
        browser.open(&url, width, 1000, scheme);
        browser.picture(&pictures.join(format!("{width}-{scheme}.png")));
        let overhang = browser.run("document.documentElement.scrollWidth - innerWidth");
        assert!(overhang.as_i64().is_some_and(|px| px <= 0), "{width} px: {overhang} px too wide");
        assert!(
            browser.run(CONTRAST).as_f64().is_some_and(|worst| worst >= 4.5),
            "{scheme}: {}",
            browser.run(CONTRAST)
        );
        papers.push(browser.run("getComputedStyle(document.body).backgroundColor"));
    }
    assert_eq!(papers[0], papers[3]);
    assert_ne!(papers[0], papers[1], "dark is another paper");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The worst contrast (WCAG 2) of any text with the first ground behind it.
const CONTRAST: &str = "(() => {
    const light = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).map((it) => it / 255)
            .map((it) => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const color = getComputedStyle(node).backgroundColor;
            if (!color.endsWith(', 0)')) return color;
        }
    };
    const texts = [...document.querySelectorAll('body *')].filter((it) => it.checkVisibility()
        && !it.disabled && [...it.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
    return Math.min(...texts.map((it) => {
        const [a, b] = [light(getComputedStyle(it).color), light(ground(it))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
})()";

#[test]
fn it_says_when_its_worker_no_longer_answers() {
    let (stage, mut browser) = opened(1600, "light");
    assert_eq!(browser.run("document.getElementById('stale').hidden"), true);
    stage.stop();
    browser.run(
        "new Promise((done) => { const look = () => document.getElementById('stale').hidden ? setTimeout(look, 20) : done(); look(); })",
    );
    assert!(browser.text("#stale").contains("what stands here is old"), "{}", browser.text("#stale"));
}
