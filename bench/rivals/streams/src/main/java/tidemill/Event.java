package tidemill;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;

/** What the aggregation needs of one record; read by Jackson's streaming parser, which skips the rest. */
final class Event {
    private static final JsonFactory JSON = new JsonFactory();

    final long time;
    final double amount;

    private Event(long time, double amount) {
        this.time = time;
        this.amount = amount;
    }

    static Event read(byte[] value) {
        long time = 0;
        double amount = 0;
        try (JsonParser parser = JSON.createParser(value)) {
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
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return new Event(time, amount);
    }
}
