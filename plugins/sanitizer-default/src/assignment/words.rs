//! The words that names and values of credentials are told by. Lists, not rules: what they mean is said where they are
//! used.

use std::collections::HashSet;
use std::sync::LazyLock;

pub(super) type Words = LazyLock<HashSet<&'static str>>;

/// Words at the end of a name that say nothing about what it is.
pub(super) static ENDINGS: Words = LazyLock::new(|| {
    words(
        "value string str plain plaintext text raw base64 b64 hex prod production dev test testing live \
     staging old new data default master admin here v1 v2 const encoded confirmation confirm field param \
     header env var sandbox local main secondary backup hash 1 2",
    )
});

/// Names of what people choose.
pub(super) static PASSWORDS: Words = LazyLock::new(|| {
    words(
        "password passwd passphrase passcode pwd pass passwort kennwort contrasena contraseña contrasenia \
     senha mdp userpass dbpass userpwd psw rootpass pgpass pgpassword mysqlpassword sshpass motdepasse \
     dbpassword dbpwd smtppass smtppassword requirepass masterauth authpass adminpass adminpassword \
     userpassword storepass keypass rootpw",
    )
});

/// Names of what machines make.
pub(super) static SECRETS: Words = LazyLock::new(|| {
    words(
        "secret secrets token authtoken accesstoken apitoken apikey apisecret appsecret secretkey \
     clientsecret accesskey authkey privatekey encryptionkey signingkey masterkey sharedsecret \
     bearertoken refreshtoken idtoken sessiontoken sessionkey credential credentials creds jwtsecret \
     consumerkey consumersecret licensekey servicekey storagekey accountkey adminkey apptoken bottoken \
     usertoken deploykey sharedaccesskey subscriptionkey secretaccesskey cryptokey appkey webhooksecret \
     webhooktoken dbkey fernetkey authorization personalaccesstoken xapikey authsecret keysecret \
     secretvalue secrettoken secretsalt authsalt csrfsecret cookiesecret oauthtoken oauthsecret \
     userkey readkey writekey integrationkey instrumentationkey",
    )
});

/// Words before `key` that make it a credential.
pub(super) static KEY_OF: Words = LazyLock::new(|| {
    words(
        "api access secret auth private encryption encrypt signing sign master client app application admin \
     service session account storage shared consumer license licence deploy crypto aes hmac jwt rsa ssh \
     bot user webhook subscription fernet cookie db database project write read ingest integration server \
     host functions function token cipher preshared psk wireguard connection insert security site captcha \
     recaptcha stripe maps",
    )
});

/// Words before `key` that make it something else.
pub(super) static NOT_KEY_OF: Words = LazyLock::new(|| {
    words(
        "primary foreign public sort partition cache row column group index map hash unique natural composite \
     candidate object json dict config registry sitemap translation i18n hot shortcut answer lookup s3 \
     bucket routing",
    )
});

/// Words within a name that make it something about a credential.
pub(super) static ABOUT: Words = LazyLock::new(|| {
    words(
        "forgot reset policy strength hint regex pattern validator validation invalid missing wrong incorrect \
     error label placeholder prompt max min num count length expire expires expiry expiration ttl public \
     pub csrf xsrf tokenizer tokenize stop eos bos pad unk cls sep mask next show hide has is no require \
     required enable disable use change changed update verify check valid last author authority keyboard \
     keyword keystore passenger passive passage passport bypass compass surpass encompass through thru",
    )
});

/// Whole values that are no secrets.
pub(super) static NOTHING: Words = LazyLock::new(|| {
    words(
        "true false null nil none undefined string str text password passwd pass pwd secret token key apikey \
     api_key value hidden bearer basic yes no on off empty unknown bool boolean int integer number object \
     any username user login email name id default auto n/a * self this void let const var new return \
     function await async sha256 sha1 md5 hs256 rs256 bytes optional varchar char enabled disabled \
     required test xxx test123 credential credentials",
    )
});

/// Parts of what stands for a secret that somebody has yet to fill in, or for none; divided by `|`, since spaces count.
pub(super) const PLACEHOLDERS: &str = "example|changeme|change_me|change-me|changeit|placeholder|redacted|insert|\
    replace|todo|fixme|dummy|undefined|notset|not-set|not_set|none|null|enter |enter_|foobar|sample|default|fake|mock|\
    optional|required|lorem|test_|yourpass|your_|your-|<your|your |yoursecret|yourtoken|yourkey|yourapi|my_secret|\
    my-secret|mysecret_|xxxx|****|....|----|____|####|0123456789abcdef|1234567890abcdef|abcdefgh|deadbeef|\
    process.env|os.environ|getenv|secrets.";

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_ascii_whitespace().collect()
}
