//! The table `[http]`.

use std::path::PathBuf;

use super::{Commanded, commanded, file::File, first};
use crate::job::BaseUrl;

/// The http backend: a server that does the work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Where it is.
    pub url: Option<Commanded<BaseUrl>>,
    /// The file with its token, of the same file as `url`: a token is for one server.
    pub token_file: Option<PathBuf>,
    /// Whether it is not to be asked for a stream.
    pub is_silent: bool,
    /// Who is to do the work behind it.
    pub provider: Option<String>,
    /// Who else.
    pub fallback: Option<String>,
}

impl Http {
    pub(super) fn of(files: &[File]) -> Self {
        let at = files.iter().find(|file| file.layer.http.url.is_some());
        Self {
            url: commanded(files, |layer| layer.http.url.clone()),
            token_file: at.and_then(|file| file.layer.http.token_file.clone()),
            is_silent: first(files, |layer| layer.http.stream) == Some(false),
            provider: first(files, |layer| layer.http.provider.clone()),
            fallback: first(files, |layer| layer.http.fallback.clone()),
        }
    }
}
