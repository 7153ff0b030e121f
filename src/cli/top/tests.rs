//! Frames of a made-up worker.

use super::*;
use crate::status::view::{LaneView, Line, PartitionView};
use crate::status::{Memory, Rates, Totals};

fn partition(number: i32, state: &str, sentence: &str) -> PartitionView {
    PartitionView {
        topic: "flights".into(),
        partition: number,
        state: state.into(),
        watermark_ms: Some(1_357_040_580_000),
        behind_ms: Some(12_345_000),
        lag: Some(1_200),
        open_panes: 2,
        sentence: sentence.into(),
        ..PartitionView::default()
    }
}

fn view() -> View {
    let lane = |lane: usize, phase: &str, silent_ms: u64| LaneView {
        lane,
        phase: phase.into(),
        silent_ms,
        stuck: silent_ms > 60_000,
        partitions: 1,
        ..LaneView::default()
    };
    View {
        name: "flight-delays".into(),
        group: "flight-delays".into(),
        instance: "worker-0".into(),
        version: "0.1.0".into(),
        up_s: 5_400.0,
        not_ready: vec!["held flights[1] because its metadata is garbage".into()],
        totals: Totals::default(),
        memory: Memory {
            resident_bytes: Some(150 << 20),
            budget_bytes: Some(256 << 20),
            pool_bytes: Some(128 << 20),
            lent_bytes: 80 << 20,
            parked_bytes: 20 << 20,
            step: 1,
            step_name: "shared_views".into(),
        },
        history: Rates {
            at_s: vec![1.0, 2.0],
            read_per_s: vec![0.0, 120_000.4],
            results_per_s: vec![0.0, 5.0],
            refused_per_s: vec![0.0, 0.0],
            lag: vec![0, 2_400],
            resident_bytes: vec![0, 150 << 20],
            lent_bytes: vec![0, 80 << 20],
        },
        lanes: vec![lane(0, "running", 240), lane(1, "draining", 2_000), lane(2, "running", 75_000)],
        partitions: vec![
            partition(0, "live", "window 2013-01-01 10:00–11:00 closes when an event of 12:00 or later arrives"),
            partition(1, "held", "held because its metadata is garbage"),
        ],
        log: vec![Line {
            at_ms: 1_357_040_580_000,
            level: "WARN".into(),
            text: "transaction is aborted\x1b[31m".into(),
            ..Line::default()
        }],
        ..View::default()
    }
}

#[test]
fn one_frame_says_it_all_and_what_needs_somebody_comes_first() {
    insta::assert_snapshot!(once(&view(), 150).unwrap());
}

#[test]
fn a_frame_fits_any_terminal() {
    let mut screen = Screen::new(view());
    screen.view.partitions = (0..500).map(|number| partition(number, "live", "nothing is open")).collect();
    for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
    }
}

#[test]
fn keys_scroll_within_what_there_is_and_q_ends_it() {
    let mut screen = Screen::new(view());
    screen.view.not_ready.clear();
    screen.view.partitions = (0..500).map(|number| partition(number, "live", "nothing is open")).collect();
    let mut first = |code: KeyCode| {
        assert!(screen.press(KeyEvent::from(code)));
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        screen.first_row
    };
    let keys =
        [KeyCode::Up, KeyCode::Down, KeyCode::PageDown, KeyCode::End, KeyCode::Down, KeyCode::PageUp, KeyCode::Home];
    let visible = 40 - 1 - 5 - 2 - 5 - 1 - 2;
    let last = 500 - visible;
    assert_eq!(keys.map(&mut first), [0, 1, 11, last, last, last - 10, 0]);
    assert!(!screen.press(KeyEvent::from(KeyCode::Char('q'))));
    assert!(!screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

#[test]
fn nobody_there_is_said_with_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let refusal = format!("{:#}", fetch::view(&format!("http://{address}/")).unwrap_err());
    assert!(refusal.starts_with(&format!("cannot ask {address}: is http.listen")), "{refusal}");
}
