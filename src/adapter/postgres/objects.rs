//! What a schema has to hold, as one query.

/// Every object of the schema by kind and name, and the clock. A constraint that was not
/// validated, a trigger that is switched off and an index that is not valid do not count.
pub(super) const OBJECTS: &str = "SELECT clock_timestamp() AS now, (
     SELECT coalesce(json_agg(kind || ' ' || name), '[]') FROM (
         SELECT 'table' AS kind, c.relname::text AS name FROM pg_class AS c
             WHERE c.relnamespace = n.oid AND c.relkind = 'r'
         UNION SELECT 'index', c.relname FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
             WHERE c.relnamespace = n.oid AND i.indisvalid
         UNION SELECT 'constraint', conname FROM pg_constraint
             WHERE connamespace = n.oid AND convalidated
         UNION SELECT 'trigger', tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
             WHERE c.relnamespace = n.oid AND tgenabled IN ('O', 'A')
         UNION SELECT 'function', proname FROM pg_proc WHERE pronamespace = n.oid
         UNION SELECT 'domain', typname FROM pg_type WHERE typnamespace = n.oid AND typtype = 'd'
     ) AS found) AS objects
     FROM (SELECT (SELECT oid FROM pg_namespace WHERE nspname = $1) AS oid) AS n";
