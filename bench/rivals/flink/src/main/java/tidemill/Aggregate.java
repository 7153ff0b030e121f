package tidemill;

import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.java.tuple.Tuple3;

/** Count, sum, minimum and maximum of one key and window, updated in place. */
final class Aggregate implements AggregateFunction<Tuple3<String, Long, Double>, Aggregate.State, Aggregate.State> {
    /** A POJO, so that Flink serialises it without Kryo. */
    public static final class State {
        public long count;
        public double sum;
        public double min = Double.POSITIVE_INFINITY;
        public double max = Double.NEGATIVE_INFINITY;

        public State() {}
    }

    @Override
    public State createAccumulator() {
        return new State();
    }

    @Override
    public State add(Tuple3<String, Long, Double> event, State state) {
        state.count++;
        state.sum += event.f2;
        state.min = Math.min(state.min, event.f2);
        state.max = Math.max(state.max, event.f2);
        return state;
    }

    @Override
    public State getResult(State state) {
        return state;
    }

    @Override
    public State merge(State a, State b) {
        a.count += b.count;
        a.sum += b.sum;
        a.min = Math.min(a.min, b.min);
        a.max = Math.max(a.max, b.max);
        return a;
    }
}
