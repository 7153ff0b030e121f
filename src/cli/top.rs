//! `tidemill top ADDRESS`: the status page for a terminal, read from a worker's `/v1/status`.
//!
//! Asks nobody but that address, and changes nothing there.

mod draw;
mod fetch;

use crate::clock::{Clock, SystemClock};
use crate::status::View;
use draw::Screen;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Between two questions.
const EVERY: Duration = Duration::from_secs(1);
/// Width where there is no terminal.
const WIDTH: u16 = 220;
/// Rows that one key press of Page Up and Page Down goes.
const PAGE: usize = 10;

/// What `tidemill top` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the worker serves its pages (`http.listen`): host:port
    #[arg(default_value = "127.0.0.1:9640")]
    address: String,
    /// Print one frame with every partition as text, and end
    #[arg(long)]
    once: bool,
}

/// Shows a worker until `q`.
///
/// # Errors
/// With `--once`, nobody answers there; else, the terminal is gone.
pub fn top(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<u8> {
    if arguments.once {
        let view = fetch::view(&arguments.address)?;
        let width = if std::io::stdout().is_terminal() { terminal::size()?.0 } else { WIDTH };
        write!(out, "{}", once(&view, width)?)?;
        return Ok(0);
    }
    let mut terminal = ratatui::try_init()?;
    let ended = watch(&arguments.address, &mut terminal);
    ratatui::try_restore()?;
    ended.map(|()| 0)
}

/// One frame that is as high as it has to be.
fn once(view: &View, width: u16) -> anyhow::Result<String> {
    let mut screen = Screen::new(view.clone());
    let mut terminal = Terminal::new(TestBackend::new(width.max(40), screen.height()))?;
    terminal.draw(|frame| screen.draw(frame))?;
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(buffer.area.width));
    let lines =
        lines.map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n");
    Ok(lines.collect())
}

fn watch(address: &str, terminal: &mut ratatui::DefaultTerminal) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let mut screen = Screen::new(View::default());
    let (mut ask_at, mut answered) = (Duration::ZERO, Duration::ZERO);
    loop {
        if clock.monotonic() >= ask_at {
            match fetch::view(address) {
                Ok(view) => {
                    answered = clock.monotonic();
                    screen.view = view;
                    screen.trouble = None;
                }
                Err(error) => {
                    let silent_s = clock.monotonic().saturating_sub(answered).as_secs();
                    screen.trouble = Some(format!("no answer for {silent_s} s: {error:#}"));
                }
            }
            ask_at = clock.monotonic() + EVERY;
        }
        terminal.draw(|frame| screen.draw(frame))?;
        if event::poll(ask_at.saturating_sub(clock.monotonic()))?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && !screen.press(key)
        {
            return Ok(());
        }
    }
}

impl Screen {
    /// Takes a key; false: it was the last one.
    fn press(&mut self, key: KeyEvent) -> bool {
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Down | KeyCode::Char('j') => self.first_row = self.first_row.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.first_row = self.first_row.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.first_row = self.first_row.saturating_add(PAGE),
            KeyCode::PageUp => self.first_row = self.first_row.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.first_row = 0,
            KeyCode::End | KeyCode::Char('G') => self.first_row = usize::MAX,
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests;
