package tidemill;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Key, time and amount of one record; Jackson's streaming parser skips the rest. */
final class Event implements KafkaRecordDeserializationSchema<Tuple3<String, Long, Double>> {
    private static final JsonFactory JSON = new JsonFactory();

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Tuple3<String, Long, Double>> out)
            throws IOException {
        long time = 0;
        double amount = 0;
        try (JsonParser parser = JSON.createParser(record.value())) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                if (name.equals("time")) {
                    time = parser.getLongValue();
                } else if (name.equals("amount")) {
                    amount = parser.getDoubleValue();
                } else {
                    parser.skipChildren();
                }
            }
        }
        out.collect(Tuple3.of(new String(record.key(), StandardCharsets.UTF_8), time, amount));
    }

    @Override
    public TypeInformation<Tuple3<String, Long, Double>> getProducedType() {
        return TypeInformation.of(new TypeHint<>() {});
    }
}
