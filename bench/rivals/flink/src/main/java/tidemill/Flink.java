package tidemill;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;

/** Arguments: brokers, group, source topic, sink topic, window size and disorder in milliseconds, checkpoint folder. */
public final class Flink {
    public static void main(String[] arguments) throws Exception {
        StreamExecutionEnvironment environment =
            StreamExecutionEnvironment.createLocalEnvironment(1, configuration(arguments));

        KafkaSource<Tuple3<String, Long, Double>> source = KafkaSource.<Tuple3<String, Long, Double>>builder()
            .setBootstrapServers(arguments[0])
            .setGroupId(arguments[1])
            .setTopics(arguments[2])
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(new Event())
            .setProperty("isolation.level", "read_committed")
            .setProperty("max.poll.records", "10000")
            .build();
        KafkaSink<Tuple2<String, String>> sink = KafkaSink.<Tuple2<String, String>>builder()
            .setBootstrapServers(arguments[0])
            .setRecordSerializer(new Result.Serialise(arguments[3]))
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix(arguments[1])
            .setProperty("transaction.timeout.ms", "900000") // what brokers allow at most
            .setProperty("linger.ms", "5")
            .setProperty("batch.size", "262144")
            .setProperty("compression.type", "lz4")
            .build();

        // A record that is late by as much as the disorder still finds its window open, like a grace of that length.
        WatermarkStrategy<Tuple3<String, Long, Double>> watermarks = WatermarkStrategy
            .<Tuple3<String, Long, Double>>forBoundedOutOfOrderness(Duration.ofMillis(Long.parseLong(arguments[5])))
            .withTimestampAssigner((event, kafkaTimestamp) -> event.f1);

        environment
            .fromSource(source, watermarks, "source")
            .keyBy(event -> event.f0)
            .window(TumblingEventTimeWindows.of(Duration.ofMillis(Long.parseLong(arguments[4]))))
            .aggregate(new Aggregate(), new Result.Close())
            .sinkTo(sink);
        environment.execute("tidemill's rival");
    }

    private static Configuration configuration(String[] arguments) {
        Configuration configuration = new Configuration();
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("state.backend.type", "hashmap");
        configuration.setString("execution.checkpointing.interval", arguments.length > 7 ? arguments[7] : "10 s");
        configuration.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        configuration.setString("execution.checkpointing.storage", "filesystem");
        configuration.setString("execution.checkpointing.dir", "file://" + arguments[6]);
        return configuration;
    }

    private Flink() {}
}
