//! `name = value`: secrets that only their name gives away, in whatever syntax names and values have.
//!
//! A keyword within a name is the beginning. The name is read around it (`name`), then the operator and the value
//! behind it (`syntax`), then the value is judged (`value`): a placeholder, a variable, a call or a sentence is no
//! secret. By hand rather than by an expression, because names are everywhere in code, and nearly all of them are
//! settled by the next two bytes.

mod name;
mod syntax;
mod value;
mod words;

use name::Kind;

/// What the names of credentials have in them, in lower case.
pub(crate) const KEYWORDS: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "cred",
    "auth",
    "contrase",
    "senha",
    "mdp",
    "kennwort",
    "passwort",
    "salt",
    "signature",
    "webhook",
];

/// A keyword in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A value that is a secret.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) rule: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) confidence: f32,
}

/// The finder, with the rules that it reports under.
#[derive(Debug)]
pub(crate) struct Assignment {
    password: Option<usize>,
    secret: Option<usize>,
}

impl Assignment {
    /// Nothing when there is no rule to report under.
    pub(crate) fn new(password: Option<usize>, secret: Option<usize>) -> Option<Self> {
        password.or(secret)?;
        Some(Self { password, secret })
    }

    /// Reads the assignment around a keyword, if it is one.
    pub(crate) fn look(&self, text: &[u8], hit: Hit) -> Option<Value> {
        let name = name::around(text, hit);
        let quick = syntax::may_follow(text, name.end)?;
        let kind = name::kind(&text[name.clone()])?;
        let given = syntax::value(text, &name, quick)?;
        let confidence = value::judge(text, &name, kind, &given)?;
        let rule = match kind {
            Kind::Password => self.password.or(self.secret),
            Kind::Secret | Kind::Key => self.secret.or(self.password),
        }?;
        Some(Value {
            rule,
            start: given.range.start,
            end: given.range.end,
            confidence,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        let finder = Assignment::new(Some(0), Some(1)).unwrap();
        let lower = text.to_ascii_lowercase();
        KEYWORDS
            .iter()
            .flat_map(|word| {
                lower
                    .match_indices(word)
                    .map(move |(start, _)| (start, start + word.len()))
            })
            .filter_map(|(start, end)| finder.look(text.as_bytes(), Hit { start, end }))
            .map(|value| &text[value.start..value.end])
            .next()
    }

    #[test]
    fn values_in_the_syntaxes_of_code_and_configuration() {
        let cases = [
            (r#"password = "hunter2hunter2""#, "hunter2hunter2"),
            (r#""password": "Sommer2024!","#, "Sommer2024!"),
            (r#"{\"api_key\": \"8f4b2c1d9e7a6b5c\"}"#, "8f4b2c1d9e7a6b5c"),
            ("DB_PASSWORD=tr0ub4dor&3", "tr0ub4dor&3"),
            (
                "export API_TOKEN=8f4b2c1d9e7a6b5c3f2e",
                "8f4b2c1d9e7a6b5c3f2e",
            ),
            ("  client_secret: 9aF3kLm2Qx7Zp4Wt", "9aF3kLm2Qx7Zp4Wt"),
            ("<password>Sommer2024!</password>", "Sommer2024!"),
            (
                r#"<add key="SmtpPassword" value="Sommer2024!"/>"#,
                "Sommer2024!",
            ),
            (
                "https://x.example/?access_token=8f4b2c1d9e7a6b5c3f2e&a=b",
                "8f4b2c1d9e7a6b5c3f2e",
            ),
            ("Server=db;User Id=sa;Password=Sommer2024!;", "Sommer2024!"),
            (r#"config.setPassword("Sommer2024!")"#, "Sommer2024!"),
            ("--password Sommer2024! --verbose", "Sommer2024!"),
            (
                r#"let api_key: &str = "8f4b2c1d9e7a6b5c3f2e";"#,
                "8f4b2c1d9e7a6b5c3f2e",
            ),
            ("- name: DB_PASSWORD\n  value: Sommer2024!\n", "Sommer2024!"),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn placeholders_variables_and_prose_are_no_secrets() {
        let cases = [
            "password = os.environ['DB_PASSWORD']",
            r#"password = "${DB_PASSWORD}""#,
            r#"password: "<your password>""#,
            r#"password = "changeme""#,
            "password = getPassword()",
            "PASSWORD=$DB_PASSWORD",
            "password: str | None = None",
            r#"password = """#,
            r#""password": "string""#,
            "max_tokens = 4096",
            r#"tokenizer = "bert-base-uncased""#,
            "primary_key = user_identifier_2024_x",
            r#"placeholder="Enter your password""#,
            "the password is known: nobody told",
            "api_key: {{ secrets.API_KEY }}",
            "key = \"window_title\"",
            "token_type = \"bearer_token_8f4b2c1d9e7a\"",
        ];
        for text in cases {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
