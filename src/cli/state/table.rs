//! A [`View`] as aligned tables, for people.

use super::view::{Row, View};
use crate::cli::preflight::Standing;
use std::fmt::Display;
use std::io::{self, Write};

/// Columns of partitions; numbers stand at the right.
const COLUMNS: [(&str, Side); 13] = [
    ("partition", Side::Left),
    ("offset", Side::Right),
    ("log", Side::Right),
    ("lag", Side::Right),
    ("replay from", Side::Right),
    ("replays", Side::Right),
    ("watermark", Side::Left),
    ("(ms)", Side::Right),
    ("guard", Side::Right),
    ("digest", Side::Left),
    ("topic", Side::Left),
    ("standing", Side::Left),
    ("member", Side::Left),
];

/// Columns of members.
const MEMBER_COLUMNS: [(&str, Side); 5] =
    [("member", Side::Left), ("id", Side::Left), ("instance", Side::Left), ("host", Side::Left), ("owns", Side::Left)];

/// Where the cells of a column stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Longest piece of metadata that is shown, in characters.
const METADATA_CHARS: usize = 100;

/// Writes the group, its members, its partitions, and why some of them are held.
pub(super) fn write(view: &View, out: &mut dyn Write) -> io::Result<()> {
    let members = match view.members.len() {
        0 => "no members".to_owned(),
        1 => "1 member".to_owned(),
        number => format!("{number} members"),
    };
    writeln!(out, "group   {}: {} ({}), {members}", view.group, view.state, view.protocol)?;
    writeln!(out, "digest  {} (of the file)\n", view.digest)?;
    for topic in &view.missing {
        writeln!(out, "source topic `{topic}` is not there\n")?;
    }
    if !view.members.is_empty() {
        let rows = (1..).zip(&view.members).map(|(number, member)| {
            let instance = if member.instance.is_empty() { "–" } else { &member.instance };
            vec![number.to_string(), member.id.clone(), instance.to_owned(), member.host.clone(), member.owns()]
        });
        align(&MEMBER_COLUMNS, &rows.collect::<Vec<_>>(), out)?;
        writeln!(out)?;
    }
    align(&COLUMNS, &view.rows.iter().map(cells).collect::<Vec<_>>(), out)?;
    for row in &view.rows {
        let Standing::Held { why, mend } = &row.standing else { continue };
        writeln!(out, "\n{} is held: {why}", row.partition)?;
        if let Some(committed) = row.committed.as_ref().filter(|_| row.checkpoint.is_none())
            && !committed.metadata.is_empty()
        {
            writeln!(out, "  metadata: {}", shown(&committed.metadata))?;
        }
        writeln!(out, "  way out: {mend}")?;
    }
    Ok(())
}

/// Metadata that somebody else wrote: no control characters, not too long.
pub(super) fn shown(metadata: &str) -> String {
    let short: String = metadata.chars().take(METADATA_CHARS).collect();
    let dots = if short.len() < metadata.len() { "…" } else { "" };
    format!("\"{}{dots}\"", short.escape_debug())
}

fn cells(row: &Row) -> Vec<String> {
    let checkpoint = row.checkpoint.as_ref();
    let same = |matches: Option<bool>| matches.map(|matches| if matches { "same" } else { "other" });
    vec![
        row.partition.to_string(),
        or_dash(row.committed.as_ref().map(|committed| committed.offset)),
        or_dash(row.log.map(|log| format!("{}..{}", log.earliest, log.ends.high_watermark))),
        or_dash(row.lag()),
        or_dash(checkpoint.map(|checkpoint| checkpoint.replay_from)),
        or_dash(row.replays()),
        or_dash(row.watermark()),
        or_dash(checkpoint.and_then(|checkpoint| checkpoint.watermark_ms)),
        or_dash(checkpoint.map(|checkpoint| checkpoint.guard.len())),
        or_dash(same(row.digest_matches)),
        or_dash(same(row.topic_id_matches)),
        word(&row.standing).to_owned(),
        or_dash(row.owner.map(|index| index + 1)),
    ]
}

/// A standing in a word.
pub(super) fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::New => "new",
        Standing::Clean => "clean",
        Standing::Resumable => "resumable",
        Standing::Held { .. } => "held",
    }
}

fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// Columns as wide as they must be, two blanks apart.
fn align(columns: &[(&str, Side)], rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let head: Vec<_> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lines: Vec<_> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| lines.iter().filter_map(|line| Some(line.get(column)?.chars().count())).max();
    let widths: Vec<_> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    for line in lines {
        let cells = line.iter().zip(columns).zip(&widths).map(|((cell, (_, side)), width)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
