package tidemill;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A closed window becomes a key and a JSON object, and those a record of the sink topic. */
final class Result {
    static final class Close extends ProcessWindowFunction<Aggregate.State, Tuple2<String, String>, String, TimeWindow> {
        @Override
        public void process(String key, Context context, Iterable<Aggregate.State> states,
                Collector<Tuple2<String, String>> out) {
            Aggregate.State state = states.iterator().next();
            out.collect(Tuple2.of(key, "{\"key\":\"" + key + "\",\"window_start\":" + context.window().getStart()
                + ",\"window_end\":" + context.window().getEnd() + ",\"count\":" + state.count + ",\"sum\":" + state.sum
                + ",\"min\":" + state.min + ",\"max\":" + state.max + "}"));
        }
    }

    static final class Serialise implements KafkaRecordSerializationSchema<Tuple2<String, String>> {
        private final String topic;

        Serialise(String topic) {
            this.topic = topic;
        }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(Tuple2<String, String> result, KafkaSinkContext context,
                Long timestamp) {
            return new ProducerRecord<>(topic, result.f0.getBytes(StandardCharsets.UTF_8),
                result.f1.getBytes(StandardCharsets.UTF_8));
        }
    }

    private Result() {}
}
