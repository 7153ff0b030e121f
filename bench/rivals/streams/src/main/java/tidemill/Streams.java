package tidemill;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/** Arguments: brokers, group, source topic, sink topic, window size and grace in milliseconds, state folder. */
public final class Streams {
    public static void main(String[] arguments) {
        String source = arguments[2];
        String sink = arguments[3];
        Duration size = Duration.ofMillis(Long.parseLong(arguments[4]));
        Duration grace = Duration.ofMillis(Long.parseLong(arguments[5]));

        Serde<Event> events = Serdes.serdeFrom(
            (topic, event) -> { throw new UnsupportedOperationException("nothing is repartitioned"); },
            (topic, bytes) -> bytes == null ? null : Event.read(bytes));
        Serde<Aggregate> aggregates = Serdes.serdeFrom(
            (topic, aggregate) -> aggregate == null ? null : aggregate.store(),
            (topic, bytes) -> bytes == null ? null : Aggregate.load(bytes));

        StreamsBuilder builder = new StreamsBuilder();
        builder
            .stream(source, Consumed.with(Serdes.Bytes(), events)
                .withTimestampExtractor((record, partitionTime) -> ((Event) record.value()).time))
            .groupByKey(Grouped.with(Serdes.Bytes(), events))
            .windowedBy(TimeWindows.ofSizeAndGrace(size, grace))
            .aggregate(Aggregate::new, (key, event, aggregate) -> aggregate.add(event),
                Materialized.<Bytes, Aggregate>as(
                        Stores.inMemoryWindowStore("windows", size.plus(grace), size, false))
                    .withKeySerde(Serdes.Bytes())
                    .withValueSerde(aggregates))
            .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()))
            .toStream()
            .map((key, aggregate) -> KeyValue.pair(key.key(), aggregate.json(
                new String(key.key().get(), StandardCharsets.UTF_8), key.window().start(), key.window().end())))
            .to(sink, Produced.with(Serdes.Bytes(), Serdes.ByteArray()));

        KafkaStreams streams = new KafkaStreams(builder.build(), properties(arguments));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Properties properties(String[] arguments) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[6]);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1); // there is one core
        properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.length > 7 ? arguments[7] : "1000");
        properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        properties.put(StreamsConfig.consumerPrefix("max.poll.records"), 10_000);
        properties.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        properties.put(StreamsConfig.producerPrefix("batch.size"), 256 << 10);
        properties.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        return properties;
    }

    private Streams() {}
}
