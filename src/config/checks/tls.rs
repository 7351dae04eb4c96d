//! `[source.tls]`: outside of loopback nothing is sent in the clear unless that is allowed.

use crate::config::settings::Settings;
use crate::config::{Host, TlsConfig, TlsMode, secret};
use std::net::IpAddr;
use std::path::PathBuf;

pub(super) fn tls(settings: &mut Settings<'_>, hosts: Option<&[Host]>) -> Option<TlsConfig> {
    let far = hosts.map(|hosts| hosts.iter().find(|host| !is_loopback(&host.name)));
    let mode = match settings.text("source.tls.mode").as_deref() {
        Some("disabled") => Some(TlsMode::Disabled),
        Some("required") => Some(TlsMode::Required),
        Some("verify-ca") => Some(TlsMode::VerifyCa),
        Some(_) => Some(TlsMode::VerifyIdentity),
        None if settings.is_given("source.tls.mode") => None,
        None => far.map(|far| if far.is_none() { TlsMode::Disabled } else { TlsMode::VerifyIdentity }),
    };
    let allowed = settings.flag("source.tls.allow_plaintext");
    if let (Some(TlsMode::Disabled), Some(Some(Host { name: host, .. })), Some(false)) = (mode, far, allowed) {
        let message = format!(
            "refusing plaintext to {host}: anyone on the path could read every change of every table; use \
             \"verify-identity\", or set source.tls.allow_plaintext = true"
        );
        settings.fail("source.tls.mode", message);
    }
    if mode == Some(TlsMode::Required) {
        settings.warn(
            "source.tls.mode",
            "source.tls.mode = \"required\" does not verify the server: anyone on the path can pose as it",
        );
    }
    let ca = settings.text("source.tls.ca").map(PathBuf::from);
    check_ca(settings, ca.as_ref(), mode);
    Some(TlsConfig { mode: mode?, ca })
}

fn check_ca(settings: &mut Settings<'_>, ca: Option<&PathBuf>, mode: Option<TlsMode>) {
    const KEY: &str = "source.tls.ca";
    let Some(path) = ca else { return };
    match std::fs::read(path) {
        Err(error) => settings.fail(KEY, format!("{KEY} {}: {}", path.display(), secret::explain(&error))),
        Ok(text) if !String::from_utf8_lossy(&text).contains("-----BEGIN CERTIFICATE-----") => {
            settings.fail(KEY, format!("{KEY} {} holds no PEM certificate", path.display()));
        }
        Ok(_) if matches!(mode, Some(TlsMode::Disabled | TlsMode::Required)) => {
            settings.warn(KEY, "source.tls.ca is not used: source.tls.mode does not verify the server");
        }
        Ok(_) => {}
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
