//! The rights that the calls need, as the head of the schema file grants them.

/// Of each table.
pub(super) const TABLES: [(&str, &[&str]); 17] = [
    ("alerts", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("attempts", &["SELECT", "INSERT", "UPDATE"]),
    // Written by `append_audit_log` and `empty_events`, which run as the owner.
    ("audit_log", &["SELECT"]),
    ("discrepancies", &["SELECT", "INSERT", "UPDATE"]),
    ("enrollments", &["SELECT", "INSERT", "UPDATE"]),
    ("grants", &["SELECT", "INSERT", "UPDATE"]),
    ("inbox", &["SELECT", "INSERT", "UPDATE"]),
    ("migrations", &["SELECT"]),
    ("outbox", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("pending", &["SELECT", "INSERT", "DELETE"]),
    ("preferences", &["SELECT", "INSERT", "UPDATE"]),
    ("read_notices", &["SELECT", "INSERT"]),
    ("events", &["SELECT", "INSERT"]),
    ("statement_parts", &["SELECT", "INSERT"]),
    ("statement_rows", &["SELECT", "INSERT", "UPDATE"]),
    ("tallies", &["SELECT", "INSERT", "DELETE"]),
    ("timers", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
];

/// Functions that the calls run, themselves or by one another.
pub(super) const FUNCTIONS: [&str; 10] = [
    "commit",
    "deliveries",
    "each",
    "empty_events",
    "erase",
    "kept_text",
    "listed",
    "numbers",
    "personal_text",
    "append_audit_log",
];

/// What of `$2` and `$3` (tables and rights on them) and `$4` (functions) the role that asks
/// does not have. What is not there at all is told of otherwise.
pub(super) const LACKING: &str = "SELECT CASE WHEN n.oid IS NOT NULL AND NOT has_schema_privilege(n.oid, 'USAGE')
         THEN json_build_array('USAGE of the schema')
         ELSE (SELECT coalesce(json_agg(lacking.name), '[]') FROM (
             SELECT need.privilege || ' on ' || need.name AS name
             FROM unnest($2::text[], $3::text[]) AS need (name, privilege)
             JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = need.name AND c.relkind = 'r'
             WHERE NOT has_table_privilege(c.oid, need.privilege)
             UNION ALL SELECT 'EXECUTE on ' || p.proname
             FROM pg_proc AS p WHERE p.pronamespace = n.oid AND p.proname = ANY ($4)
               AND NOT has_function_privilege(p.oid, 'EXECUTE')) AS lacking) END AS lacking
     FROM (SELECT (SELECT oid FROM pg_namespace WHERE nspname = $1) AS oid) AS n";
