-- Makes a new PostgreSQL like one that has run for a while: it has files of the log to use again. A new one makes each of
-- them, 16 MB that are written twice, while a commit waits.
DO $$
BEGIN
  FOR file IN 1..200 LOOP
    PERFORM pg_logical_emit_message(false, 'bench', '');
    PERFORM pg_switch_wal();
  END LOOP;
END
$$;
CHECKPOINT;
