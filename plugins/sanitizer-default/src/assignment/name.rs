//! The name of a value: where it ends, and whether it is the name of a credential.

use std::ops::Range;

use super::Hit;

/// Names are at most this long to either side of the keyword.
const REACH: usize = 64;

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Chosen by people: any text.
    Password,
    /// Made by machines: random.
    Secret,
    /// Only says "key": random, and nothing less.
    Key,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// The whole name around a keyword.
pub(super) fn around(text: &[u8], hit: Hit) -> Range<usize> {
    let before = text[..hit.start].iter().rev().take(REACH).take_while(|&&byte| is_name(byte)).count();
    let after = text[hit.end..].iter().take(REACH).take_while(|&&byte| is_name(byte)).count();
    hit.start - before..hit.end + after
}

/// Words at the end of a name that say nothing about what it is.
const ENDINGS: &[&str] = &[
    "value", "string", "str", "plain", "plaintext", "text", "raw", "base64", "b64", "hex", "prod", "production", "dev",
    "test", "testing", "live", "staging", "old", "new", "data", "default", "master", "admin", "here", "v1", "v2", "const", "encoded", "confirmation", "confirm", "field", "param", "header", "env", "var", "sandbox", "local", "main", "secondary", "backup", "hash", "1", "2",
];

/// Names of what people choose.
const PASSWORDS: &[&str] = &[
    "password", "passwd", "passphrase", "passcode", "pwd", "pass", "passwort", "kennwort", "contrasena", "contraseña", "contrasenia", "senha", "mdp", "userpass", "dbpass", "userpwd", "psw", "rootpass", "pgpass", "pgpassword", "mysqlpassword", "sshpass", "motdepasse", "dbpassword", "dbpwd", "smtppass", "smtppassword", "requirepass", "masterauth", "authpass", "adminpass", "adminpassword", "userpassword", "storepass", "keypass", "rootpw",
];

/// Names of what machines make.
const SECRETS: &[&str] = &[
    "secret", "secrets", "token", "authtoken", "accesstoken", "apitoken", "apikey", "apisecret", "appsecret", "secretkey",
    "clientsecret", "accesskey", "authkey", "privatekey", "encryptionkey", "signingkey", "masterkey", "sharedsecret",
    "bearertoken", "refreshtoken", "idtoken", "sessiontoken", "sessionkey", "credential", "credentials", "creds", "jwtsecret", "consumerkey", "consumersecret", "licensekey", "servicekey", "storagekey", "accountkey", "adminkey", "apptoken", "bottoken", "usertoken", "deploykey", "sharedaccesskey", "subscriptionkey", "secretaccesskey", "cryptokey", "appkey", "webhooksecret", "webhooktoken", "dbkey", "fernetkey", "authorization", "personalaccesstoken", "xapikey", "authsecret", "keysecret", "secretvalue", "secrettoken", "secretsalt", "authsalt", "csrfsecret", "cookiesecret", "oauthtoken", "oauthsecret", "provisiondevicekey", "provisiondevicesecret", "userkey", "readkey", "writekey", "integrationkey", "instrumentationkey",
];

/// Words before `key` that make it a credential.
const KEY_OF: &[&str] = &[
    "api", "access", "secret", "auth", "private", "encryption", "encrypt", "signing", "sign", "master", "client", "app", "application", "admin", "service", "session", "account", "storage", "shared", "consumer", "license", "licence", "deploy", "crypto", "aes", "hmac", "jwt", "rsa", "ssh", "bot", "user", "webhook", "subscription", "fernet", "cookie", "db", "database", "project", "write", "read", "ingest", "integration", "server", "host", "functions", "function", "token", "cipher", "preshared", "psk", "wireguard", "connection", "insert", "license", "security", "site", "captcha", "recaptcha", "stripe", "maps",
];

/// Words before `key` that make it something else.
const NOT_KEY_OF: &[&str] = &[
    "primary", "foreign", "public", "sort", "partition", "cache", "row", "column", "group", "index", "map", "hash", "unique", "natural",
    "composite", "candidate", "object", "json", "dict", "config", "registry", "sitemap", "translation", "i18n", "hot", "shortcut", "answer", "lookup", "s3", "bucket", "routing",
];

/// Words within a name that make it something about a credential.
const ABOUT: &[&str] = &[
    "forgot", "reset", "policy", "strength", "hint", "regex", "pattern", "validator", "validation", "invalid", "missing", "wrong", "incorrect", "error",
    "label", "placeholder", "prompt", "max", "min", "num", "count", "length", "expire", "expires", "expiry", "expiration", "ttl", "public", "pub", "csrf", "xsrf",
    "tokenizer", "tokenize", "stop", "eos", "bos", "pad", "unk", "cls", "sep", "mask", "next", "show", "hide", "has", "is", "no", "require", "required", "enable", "disable", "use", "change", "changed", "update", "verify", "check", "valid", "last", "author", "authority", "keyboard", "keyword", "keystore", "passenger", "passive", "passage", "passport", "bypass", "compass", "surpass", "encompass", "through", "thru",
];

/// The words of a name, in lower case: `clientSecret`, `CLIENT_SECRET` and `client-secret` are two words each.
fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut fresh = true;
    for (place, &byte) in name.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            fresh = true;
            continue;
        }
        let lower_before = place > 0 && (name[place - 1].is_ascii_lowercase() || name[place - 1].is_ascii_digit());
        let lower_after = name.get(place + 1).is_some_and(u8::is_ascii_lowercase);
        let upper_before = place > 0 && name[place - 1].is_ascii_uppercase();
        let hump = byte.is_ascii_uppercase() && (lower_before || (upper_before && lower_after));
        if fresh || hump {
            words.push(String::new());
            fresh = false;
        }
        if let Some(word) = words.last_mut() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    words
}

/// What kind of credential a name is of, if any.
pub(super) fn kind(name: &[u8]) -> Option<Kind> {
    let words = words(name);
    if words.is_empty() || words.len() > 12 {
        return None;
    }
    let mut last = words.len();
    while last > 1 && (ENDINGS.contains(&words[last - 1].as_str()) || is_number(&words[last - 1])) {
        last -= 1;
    }
    let words: Vec<&str> = words[..last].iter().map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    if words.iter().any(|word| ABOUT.contains(word)) {
        return None;
    }
    let (&end, before) = words.split_last()?;
    let joined = before.last().map(|word| format!("{word}{end}"));
    let is = |list: &[&str]| list.contains(&end) || joined.as_deref().is_some_and(|joined| list.contains(&joined));
    if is(PASSWORDS) || ["password", "passwd", "passphrase"].iter().any(|word| end.ends_with(word)) {
        return Some(Kind::Password);
    }
    if is(SECRETS) || end.ends_with("secret") || end.ends_with("apikey") || end.ends_with("token") {
        return Some(Kind::Secret);
    }
    if end == "key" || end == "keys" {
        return match before.last() {
            Some(word) if NOT_KEY_OF.contains(word) => None,
            Some(word) if KEY_OF.contains(word) => Some(Kind::Secret),
            _ => Some(Kind::Key),
        };
    }
    if ["auth", "salt", "signature", "cred", "seckey", "skey"].contains(&end) || end.ends_with("key") {
        return Some(Kind::Key);
    }
    None
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_and_names_about_them() {
        let cases = [
            ("password", Some(Kind::Password)),
            ("DB_PASSWORD", Some(Kind::Password)),
            ("AdminPassword2", Some(Kind::Password)),
            ("clientSecret", Some(Kind::Secret)),
            ("AWS_SECRET_ACCESS_KEY", Some(Kind::Secret)),
            ("x-api-key", Some(Kind::Secret)),
            ("key", Some(Kind::Key)),
            ("primary_key", None),
            ("password_reset_url", None),
            ("max_tokens", None),
            ("compass", None),
            ("secret_name", None),
        ];
        for (name, expected) in cases {
            assert_eq!(kind(name.as_bytes()), expected, "{name}");
        }
    }
}
