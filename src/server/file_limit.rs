//! The limit of open files, which also limits the number of connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files for everything but connections: the database, the log, outgoing requests, certificates that are read
/// again.
const RESERVED_FILES: u64 = 256;

/// Raises the soft limit to the hard limit. Returns the limit now in effect, `None` for no limit.
pub(super) fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, ?current, ?maximum, "the limit of open files cannot be raised");
            current
        }
    }
}

/// Returns the number of connections to allow: `wanted`, or fewer if `files` allows fewer.
pub(super) fn connections(wanted: u32, files: Option<u64>) -> usize {
    let possible = files.map_or(u64::MAX, |files| files.saturating_sub(RESERVED_FILES.min(files / 4)));
    usize::try_from(possible.min(wanted.into())).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(connections(10_000, None), 10_000);
        assert_eq!(connections(10_000, Some(1_048_576)), 10_000);
        assert_eq!(connections(10_000, Some(4_096)), 3_840);
        assert_eq!(connections(10_000, Some(256)), 192);
        assert_eq!(connections(100, Some(1_024)), 100);
    }
}
