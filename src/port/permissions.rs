use crate::vocabulary::AdminId;
use crate::vocabulary::reason::Permission;

/// Says who may do what: the host's roles. A closure will do.
pub trait Permissions: Send + Sync + 'static {
    /// Whether this person may do that.
    fn may(&self, person: &AdminId, what: Permission) -> bool;
}

impl<F> Permissions for F
where
    F: Fn(&AdminId, Permission) -> bool + Send + Sync + 'static,
{
    fn may(&self, person: &AdminId, what: Permission) -> bool {
        self(person, what)
    }
}
