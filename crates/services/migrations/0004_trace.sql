-- The trace of the command that an event follows from, for whoever carries it on: null for nearly all.
ALTER TABLE outbox ADD COLUMN trace TEXT /* W3C traceparent, sampled; null: the command was not traced */;
