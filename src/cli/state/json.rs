//! A [`View`] as one JSON object, for machines. What is not known is null.

use super::reset::Change;
use super::table::word;
use super::view::{Row, View};
use crate::cli::preflight::Standing;
use serde_json::{Value, json};

/// The object; its members only ever grow.
pub(super) fn of(view: &View, changes: &[Change]) -> Value {
    let members = view.members.iter().map(|member| {
        let owns = member.partitions.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({ "id": member.id, "instance": member.instance, "host": member.host, "partitions": owns })
    });
    let changes = changes.iter().map(|change| {
        let before = change.before.as_ref().map(|before| before.offset);
        json!({ "partition": change.partition.to_string(), "before": before, "after": change.to })
    });
    json!({
        "group": view.group,
        "state": view.state,
        "protocol": view.protocol,
        "digest": view.digest.to_string(),
        "missing_topics": view.missing,
        "members": members.collect::<Vec<_>>(),
        "partitions": view.rows.iter().map(|row| partition(view, row)).collect::<Vec<_>>(),
        "reset": changes.collect::<Vec<_>>(),
    })
}

fn partition(view: &View, row: &Row) -> Value {
    let checkpoint = row.checkpoint.as_ref();
    let (held_because, way_out) = match &row.standing {
        Standing::Held { why, mend } => (Some(why), Some(mend)),
        _ => (None, None),
    };
    json!({
        "topic": *row.partition.topic,
        "partition": row.partition.partition,
        "standing": word(&row.standing),
        "held_because": held_because,
        "way_out": way_out,
        "offset": row.committed.as_ref().map(|committed| committed.offset),
        "metadata": row.committed.as_ref().map(|committed| &committed.metadata),
        "replay_from": checkpoint.map(|checkpoint| checkpoint.replay_from),
        "replay_records": row.replays(),
        "watermark_ms": checkpoint.and_then(|checkpoint| checkpoint.watermark_ms),
        "watermark": row.watermark(),
        "guard_steps": checkpoint.map(|checkpoint| checkpoint.guard.len()),
        "digest": checkpoint.map(|checkpoint| checkpoint.digest.to_string()),
        "digest_matches": row.digest_matches,
        "topic_id_matches": row.topic_id_matches,
        "log_start": row.log.map(|log| log.earliest),
        "last_stable": row.log.map(|log| log.ends.last_stable),
        "log_end": row.log.map(|log| log.ends.high_watermark),
        "lag": row.lag(),
        "member": row.owner.and_then(|index| view.members.get(index)).map(|member| &member.id),
    })
}
