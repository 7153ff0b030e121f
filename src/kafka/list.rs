//! Partitions with offsets and metadata, as librdkafka takes and gives them.
//!
//! Copies in and out: nothing of ours is lent to the C side for longer than a call.

use super::native::{Code, OK, c_string, text};
use crate::broker::TopicPartition;
use crate::error::BrokerError;
use rdkafka_sys as rd;
use std::ffi::c_void;
use std::sync::Arc;

/// An owned list.
pub(super) struct PartitionList(*mut rd::rd_kafka_topic_partition_list_t);

/// One line of a list, copied out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) partition: TopicPartition,
    /// `None` where nothing is known (negative in librdkafka).
    pub(super) offset: Option<i64>,
    pub(super) metadata: String,
    pub(super) error: Option<Code>,
}

impl PartitionList {
    pub(super) fn new() -> Self {
        // SAFETY: no preconditions; librdkafka aborts when memory is out.
        Self(unsafe { rd::rd_kafka_topic_partition_list_new(8) })
    }

    /// Takes over a list.
    ///
    /// # Safety
    /// `list` is valid, and nobody else will destroy it.
    pub(super) unsafe fn owned(list: *mut rd::rd_kafka_topic_partition_list_t) -> Self {
        Self(list)
    }

    /// A list of names only.
    pub(super) fn of<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Result<Self, BrokerError> {
        let mut list = Self::new();
        for partition in partitions {
            list.push(partition, None, "")?;
        }
        Ok(list)
    }

    /// A list of positions.
    pub(super) fn at<'a>(positions: impl IntoIterator<Item = (&'a TopicPartition, i64)>) -> Result<Self, BrokerError> {
        let mut list = Self::new();
        for (partition, offset) in positions {
            list.push(partition, Some(offset), "")?;
        }
        Ok(list)
    }

    /// Appends a line. The offset may also be one of librdkafka's special numbers.
    pub(super) fn push(
        &mut self,
        partition: &TopicPartition,
        offset: Option<i64>,
        metadata: &str,
    ) -> Result<(), BrokerError> {
        let topic = c_string(&partition.topic)?;
        // SAFETY: the list is ours; the line that add returns is valid until the next call; metadata is allocated by
        // librdkafka's own allocator, because the list frees it with that one.
        unsafe {
            let line = rd::rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition.partition);
            if let Some(offset) = offset {
                (*line).offset = offset;
            }
            if !metadata.is_empty() {
                let copy = rd::rd_kafka_mem_malloc(std::ptr::null_mut(), metadata.len());
                std::ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast::<u8>(), metadata.len());
                (*line).metadata = copy;
                (*line).metadata_size = metadata.len();
            }
        }
        Ok(())
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_topic_partition_list_t {
        self.0
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        // SAFETY: the list is alive and ours.
        unsafe { lines(self.0) }
    }

    /// The first error among the lines.
    pub(super) fn error(&self) -> Option<(TopicPartition, Code)> {
        self.lines().into_iter().find_map(|line| line.error.map(|code| (line.partition, code)))
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.0) };
    }
}

/// Copies a borrowed list; null is empty.
///
/// # Safety
/// `list` is null or a valid list that nobody changes meanwhile.
pub(super) unsafe fn lines(list: *const rd::rd_kafka_topic_partition_list_t) -> Vec<Line> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: `elems` holds `cnt` lines, by librdkafka's contract; a length of 0 is handled.
    unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        if count == 0 || (*list).elems.is_null() {
            return Vec::new();
        }
        std::slice::from_raw_parts((*list).elems, count).iter().map(|raw| line(raw)).collect()
    }
}

/// Copies one line.
///
/// # Safety
/// The pointers in `raw` are valid, as librdkafka hands them out.
pub(super) unsafe fn line(raw: &rd::rd_kafka_topic_partition_t) -> Line {
    // SAFETY: by contract: the topic ends with NUL, metadata has the size given.
    let (topic, metadata) = unsafe { (text(raw.topic), bytes(raw.metadata, raw.metadata_size)) };
    Line {
        partition: TopicPartition { topic: Arc::from(topic), partition: raw.partition },
        offset: (raw.offset >= 0).then_some(raw.offset),
        metadata: String::from_utf8_lossy(metadata).into_owned(),
        error: (raw.err != OK).then_some(raw.err),
    }
}

/// A C buffer as a slice; null is empty.
///
/// # Safety
/// `start` is null, or points to `length` bytes that live as long as `'a`.
pub(super) unsafe fn bytes<'a>(start: *const c_void, length: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(start.cast(), length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_went_in() {
        let partition = TopicPartition { topic: "t".into(), partition: 3 };
        let mut list = PartitionList::of([&partition]).unwrap();
        list.push(&partition, Some(7), "meta").unwrap();
        let lines = list.lines();
        assert_eq!((lines[0].offset, lines[0].metadata.as_str()), (None, ""));
        assert_eq!((lines[1].offset, lines[1].metadata.as_str()), (Some(7), "meta"));
        assert_eq!(lines[1].partition, partition);
        assert!(list.error().is_none());
    }
}
