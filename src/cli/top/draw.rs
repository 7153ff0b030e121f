//! One frame: who it is, how it does, its partitions with what each waits for, its last log lines.
//!
//! A function of a [`View`] and of how far it was scrolled.

use crate::status::view::{LaneView, Line as LogLine, PartitionView};
use crate::status::{View, human};
use bytesize::ByteSize;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table, Wrap};

/// Log lines shown.
const LOG_LINES: usize = 4;
/// Reasons for not being ready shown.
const REASONS: usize = 3;
/// Height of the charts, titles included.
const CHARTS: u16 = 5;
/// Narrower terminals show no watermark.
const WIDE: u16 = 120;
const COLUMNS: [(&str, Constraint); 6] = [
    ("partition", Constraint::Max(22)),
    ("state", Constraint::Length(9)),
    ("watermark", Constraint::Length(19)),
    ("behind", Constraint::Length(11)),
    ("lag", Constraint::Length(9)),
    ("the next close waits for", Constraint::Fill(1)),
];
/// Its place among them.
const WATERMARK: usize = 2;

/// What is shown, and from where on.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) view: View,
    /// Why it is old, if it is.
    pub(super) trouble: Option<String>,
    /// First row of the partitions; kept within what there is by [`Screen::draw`].
    pub(super) first_row: usize,
}

impl Screen {
    pub(super) fn new(view: View) -> Self {
        Self { view, trouble: None, first_row: 0 }
    }

    /// Lines that show everything.
    pub(super) fn height(&self) -> u16 {
        let rows = u16::try_from(self.view.partitions.len().max(1)).unwrap_or(u16::MAX);
        self.fixed_height().saturating_add(rows).saturating_add(2)
    }

    fn fixed_height(&self) -> u16 {
        1 + self.banner().len() as u16 + CHARTS + 2 + 1 + LOG_LINES as u16 + 1
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let banner = self.banner();
        let [head, reasons, charts, facts, partitions, log, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(banner.len() as u16),
            Constraint::Length(CHARTS),
            Constraint::Length(2),
            Constraint::Min(3),
            Constraint::Length(1 + LOG_LINES as u16),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.head(), head);
        frame.render_widget(Paragraph::new(banner).style(Color::Yellow), reasons);
        self.charts(frame, charts);
        frame.render_widget(Paragraph::new(vec![self.memory(), self.lanes()]), facts);
        self.partitions(frame, partitions);
        frame.render_widget(self.log(), log);
        frame.render_widget(Line::from("q ends · ↑ ↓ page up, page down, home, end scroll").dim(), keys);
    }

    fn head(&self) -> Line<'_> {
        let view = &self.view;
        let ready = match (view.name.is_empty(), view.not_ready.is_empty()) {
            (true, _) => " ? ".on_dark_gray(),
            (_, true) => " ready ".black().on_green(),
            (_, false) if view.lanes.iter().any(|lane| lane.stuck) => " not ready ".white().on_red(),
            (_, false) => " not ready ".black().on_yellow(),
        };
        let about = format!(
            "  {} · group {} · tidemill {} · up {}",
            view.instance,
            view.group,
            view.version,
            human((view.up_s * 1000.0) as i64)
        );
        Line::from(vec![ready, Span::raw(" "), view.name.as_str().bold(), about.dim()])
    }

    fn banner(&self) -> Vec<Line<'_>> {
        let reasons = &self.view.not_ready;
        let more = reasons.len().saturating_sub(REASONS);
        let mut lines: Vec<_> = self.trouble.iter().map(|trouble| Line::from(trouble.as_str())).collect();
        lines.extend(reasons.iter().take(REASONS).map(|reason| Line::from(reason.as_str())));
        lines.extend((more > 0).then(|| Line::from(format!("and {more} more reasons"))));
        lines
    }

    fn charts(&self, frame: &mut Frame<'_>, area: Rect) {
        let history = &self.view.history;
        let whole = |values: &[f64]| values.iter().map(|value| value.max(0.0) as u64).collect::<Vec<_>>();
        let resident = self.view.memory.resident_bytes.map_or_else(|| "–".to_owned(), size);
        let (read, results) = (whole(&history.read_per_s), whole(&history.results_per_s));
        let last = |values: &[u64]| values.last().copied().unwrap_or(0);
        let charts = [
            (format!("read {}/s", last(&read)), read),
            (format!("results {}/s", last(&results)), results),
            (format!("lag {}", last(&history.lag)), history.lag.clone()),
            (format!("resident {resident}"), history.resident_bytes.clone()),
        ];
        let areas: [Rect; 4] = Layout::horizontal([Constraint::Fill(1); 4]).spacing(2).areas(area);
        for ((title, values), area) in charts.into_iter().zip(areas) {
            let newest = values.get(values.len().saturating_sub(usize::from(area.width))..).unwrap_or_default();
            let block = Block::new().borders(Borders::TOP).title(title + " ");
            frame.render_widget(Sparkline::default().data(newest).style(Color::Cyan).block(block), area);
        }
    }

    fn memory(&self) -> Line<'_> {
        let memory = &self.view.memory;
        let (Some(budget), Some(pool)) = (memory.budget_bytes, memory.pool_bytes) else {
            return Line::from("memory  the budget is not measured out yet").dim();
        };
        let tone = [Color::Green, Color::Cyan, Color::Yellow, Color::Red];
        let tone = tone.get(usize::from(memory.step)).copied().unwrap_or(Color::Red);
        let text = format!(
            "memory  budget {} · pool {} in use, {} parked, of {} · ladder ",
            size(budget),
            size(memory.lent_bytes),
            size(memory.parked_bytes),
            size(pool),
        );
        Line::from(vec![text.into(), Span::styled(format!("{} {}", memory.step, memory.step_name), tone)])
    }

    fn lanes(&self) -> Line<'_> {
        let lane = |lane: &LaneView| {
            let why = lane.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let silent_ms = i64::try_from(lane.silent_ms).unwrap_or(i64::MAX);
            let step = if silent_ms < 1000 { String::new() } else { format!(", last step {} ago", human(silent_ms)) };
            let does = if lane.stuck { "stuck" } else { &lane.phase };
            let text = format!("{} {does}, owns {}{why}{step}  ", lane.lane, lane.partitions);
            match &*lane.phase {
                _ if lane.stuck => text.red().bold(),
                "running" => Span::raw(text),
                _ => text.yellow(),
            }
        };
        Line::from_iter(std::iter::once(Span::raw("lanes   ")).chain(self.view.lanes.iter().map(lane)))
    }

    fn partitions(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let visible = usize::from(area.height.saturating_sub(2));
        self.first_row = self.first_row.min(self.view.partitions.len().saturating_sub(visible));
        let mut partitions: Vec<_> = self.view.partitions.iter().collect();
        // What needs somebody comes first; they are in order of their names already.
        partitions.sort_by_key(|partition| urgency(&partition.state));
        let columns = (0..COLUMNS.len()).filter(|column| area.width >= WIDE || *column != WATERMARK);
        let shown =
            partitions.iter().skip(self.first_row).take(visible).map(|partition| row(partition, columns.clone()));
        let (names, widths): (Vec<_>, Vec<_>) =
            columns.clone().filter_map(|column| COLUMNS.get(column).copied()).unzip();
        let heads = Row::new(names).style(Style::new().add_modifier(Modifier::DIM));
        let title = match partitions.len() {
            0 => "no partition is ours now".to_owned(),
            all if all <= visible => format!("{all} partitions"),
            all => format!("partitions {}–{} of {all}", self.first_row + 1, (self.first_row + visible).min(all)),
        };
        let table = Table::new(shown, widths).header(heads);
        frame.render_widget(table.block(Block::new().borders(Borders::TOP).title(title + " ")), area);
    }

    fn log(&self) -> Paragraph<'_> {
        let from = self.view.log.len().saturating_sub(LOG_LINES);
        let lines: Vec<_> = self.view.log.iter().skip(from).map(log_line).collect();
        let text = if lines.is_empty() { Text::from("none since the start".dim()) } else { Text::from(lines) };
        let block = Block::new().borders(Borders::TOP).title("log lines of note ");
        Paragraph::new(text).wrap(Wrap { trim: true }).block(block)
    }
}

fn urgency(state: &str) -> usize {
    ["held", "paused", "restoring"].iter().position(|urgent| *urgent == state).unwrap_or(3)
}

fn row(partition: &PartitionView, columns: impl Iterator<Item = usize>) -> Row<'_> {
    let tone = [Color::Red, Color::Yellow, Color::Cyan, Color::Green];
    let tone = tone.get(urgency(&partition.state)).copied().unwrap_or(Color::Green);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let cells = [
        Span::raw(format!("{}[{}]", partition.topic, partition.partition)),
        Span::styled(partition.state.as_str(), tone),
        Span::raw(or_dash(partition.watermark_ms.map(time))),
        Span::raw(or_dash(partition.behind_ms.map(human))),
        Span::raw(or_dash(partition.lag.map(|lag| lag.to_string()))),
        Span::raw(partition.sentence.as_str()),
    ];
    Row::new(columns.filter_map(|column| cells.get(column).cloned()).collect::<Vec<_>>())
}

fn log_line(line: &LogLine) -> Line<'_> {
    let tone = if line.level == "ERROR" { Color::Red } else { Color::Yellow };
    Line::from(vec![time(line.at_ms).dim(), Span::styled(format!(" {} ", line.level), tone), line.text.as_str().into()])
}

fn time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).ok();
    time.map_or_else(|| format!("{ms} ms"), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}
