//! What actix-web has no setting for: how long a client may take nothing of its answer.

use std::any::Any;

use actix_web::dev::Extensions;

/// Closes a connection whose other end takes nothing for as long as the time limit of everybody is.
///
/// actix-web limits the time for headers, and this example that for bodies; neither ends while an
/// answer is being written, so that a client that reads nothing would hold its place for ever. On Linux
/// the kernel has such a limit (`TCP_USER_TIMEOUT`). Elsewhere nothing here helps: put a proxy in
/// front, which buffers answers. In either case a client that takes a byte now and then is served for as
/// long as it likes, and 1,024 of those hold all places; that too is for the proxy.
pub(crate) fn limit_writes(connection: &dyn Any, _: &mut Extensions) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        // Whom it cannot be set for is served all the same.
        let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(super::LIMITS.time_limit));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = connection;
}
