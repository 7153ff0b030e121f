package tidemill;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Count, sum, minimum and maximum of one key and window; 32 bytes in the store. */
final class Aggregate {
    long count;
    double sum;
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;

    Aggregate add(Event event) {
        count++;
        sum += event.amount;
        min = Math.min(min, event.amount);
        max = Math.max(max, event.amount);
        return this;
    }

    byte[] store() {
        return ByteBuffer.allocate(32).putLong(count).putDouble(sum).putDouble(min).putDouble(max).array();
    }

    static Aggregate load(byte[] stored) {
        ByteBuffer buffer = ByteBuffer.wrap(stored);
        Aggregate aggregate = new Aggregate();
        aggregate.count = buffer.getLong();
        aggregate.sum = buffer.getDouble();
        aggregate.min = buffer.getDouble();
        aggregate.max = buffer.getDouble();
        return aggregate;
    }

    byte[] json(String key, long start, long end) {
        String json = "{\"key\":\"" + key + "\",\"window_start\":" + start + ",\"window_end\":" + end + ",\"count\":"
            + count + ",\"sum\":" + sum + ",\"min\":" + min + ",\"max\":" + max + "}";
        return json.getBytes(StandardCharsets.UTF_8);
    }
}
