//! The source's password: from exactly one of three places, and a look at who else can read it.

use super::layers::{Origin, Sources};
use super::settings::Settings;
use std::io;
use std::path::Path;

const INLINE: &str = "source.password";
const FILE: &str = "source.password_file";
const VARIABLE: &str = "source.password_env";

/// A secret: never shown by `Debug` or `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Resolves the password.
pub(super) fn resolve(settings: &mut Settings<'_>, sources: &Sources) -> Option<Secret> {
    let given: Vec<&str> = [INLINE, FILE, VARIABLE].into_iter().filter(|key| settings.is_given(key)).collect();
    match given.as_slice() {
        [] => {
            settings.fail(INLINE, "the password is missing: set one of source.password, .password_file, .password_env")
        }
        [INLINE] => return inline(settings, sources),
        [FILE] => return from_file(settings),
        [_] => return from_variable(settings, sources),
        several => {
            for key in several {
                settings.fail_key(key, "set only one of source.password, source.password_file, source.password_env");
            }
        }
    }
    None
}

fn inline(settings: &mut Settings<'_>, sources: &Sources) -> Option<Secret> {
    let password = settings.text(INLINE)?;
    match (settings.origin(INLINE), &sources.file) {
        (Some(Origin::File), Some(file)) if is_shared(file) => {
            let message = format!(
                "the password can be read by others; use source.password_file, or chmod 600 {}",
                file.display()
            );
            settings.warn(INLINE, message);
        }
        (Some(Origin::Flag(_)), _) => {
            settings.warn(INLINE, "a password in the arguments can be read by every user of the machine");
        }
        _ => {}
    }
    Some(Secret::new(password))
}

fn from_file(settings: &mut Settings<'_>) -> Option<Secret> {
    let file = settings.text(FILE)?;
    let path = Path::new(&file);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            settings.fail(FILE, format!("{FILE} {file}: {}", explain(&error)));
            return None;
        }
    };
    if is_shared(path) {
        settings.warn(FILE, format!("{FILE} {file} can be read by group or others; use chmod 600"));
    }
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        settings.fail(FILE, format!("{FILE} {file} is empty"));
        return None;
    }
    Some(Secret::new(password))
}

fn from_variable(settings: &mut Settings<'_>, sources: &Sources) -> Option<Secret> {
    let name = settings.text(VARIABLE)?;
    let value = sources.env.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str());
    match value {
        Some("") => settings.fail(VARIABLE, format!("the environment variable {name} is empty")),
        None => settings.fail(VARIABLE, format!("the environment variable {name} is not set")),
        Some(password) => return Some(Secret::new(password)),
    }
    None
}

/// Whether group or others may read the file. Unknown counts as no: reading it reports what is wrong.
#[cfg(unix)]
fn is_shared(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn is_shared(_: &Path) -> bool {
    false
}

/// A short reason; for a missing permission it names the user that lacks it, who is rarely the one who looks.
pub(super) fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => format!("permission denied{}", user()),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(unix)]
fn user() -> String {
    use std::os::unix::fs::MetadataExt;
    // The owner of a process's entry in /proc is its effective user.
    std::fs::metadata("/proc/self").map(|metadata| format!(" (uid {})", metadata.uid())).unwrap_or_default()
}

#[cfg(not(unix))]
fn user() -> String {
    String::new()
}
