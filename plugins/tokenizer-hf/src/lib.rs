//! Tokenizers of Hugging Face's tokenizers library: byte-level BPE, WordPiece, unigram and metaspace BPE.
//!
//! Opens a folder or trains from texts, encodes batches on the threads that the host lends, and saves a folder that
//! Transformers opens. Which texts to learn from, and how ids become batches, is the host's affair.

mod bytes;
mod config;
mod folder;
mod layout;
mod literal;
mod pieces;
mod roles;
mod threads;
mod trained;
mod training;

use codex_plugin_api::{
    EncodeOptions, Encoding, Error, FromConfig, HostRef, Ids, Result, TextBuffer, Texts, Tokenizer,
    Vocabulary,
};

pub use config::{Algorithm, HfConfig};
use roles::Roles;
use threads::Threads;
use trained::Trained;
use training::Training;

codex_plugin_api::plugin! { tokenizer "hf" => HfTokenizer }

enum State {
    Learning(Box<Training>),
    Ready(Box<Trained>),
}

/// The component `hf`.
pub struct HfTokenizer {
    state: State,
    threads: Threads,
    host: HostRef,
}

impl HfTokenizer {
    fn trained(&self) -> Result<&Trained> {
        match &self.state {
            State::Ready(trained) => Ok(trained),
            State::Learning(_) => Err(Error::failed("the tokenizer is not trained yet")
                .hint("feed it texts and finish the training, or set tokenizer.path")),
        }
    }

    fn training(&mut self) -> Result<&mut Training> {
        match &mut self.state {
            State::Learning(training) => Ok(training),
            State::Ready(_) => Err(Error::unsupported(
                "training a tokenizer that already has its vocabulary",
            )
            .hint("leave tokenizer.path out to train a new one")),
        }
    }
}

impl FromConfig for HfTokenizer {
    type Config = HfConfig;

    fn from_config(config: HfConfig, host: HostRef) -> Result<Self> {
        let threads = Threads::new(host.threads());
        let state = match &config.path {
            Some(path) => State::Ready(Box::new(folder::open(path)?)),
            None => State::Learning(Box::new(Training::new(config)?)),
        };
        Ok(Self {
            state,
            threads,
            host,
        })
    }
}

impl Tokenizer for HfTokenizer {
    fn vocabulary(&self) -> Result<Vocabulary> {
        Ok(self.trained()?.vocabulary().clone())
    }

    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        self.trained()?.encode(texts, options, &self.threads)
    }

    fn decode(&self, sequences: Ids<'_>, skip_special_tokens: bool) -> Result<TextBuffer> {
        self.trained()?
            .decode(sequences, skip_special_tokens, &self.threads)
    }

    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        self.trained()?.token_bytes(id)
    }

    fn token_text(&self, id: u32) -> Result<Option<String>> {
        Ok(self.trained()?.tokenizer().id_to_token(id))
    }

    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        Ok(self.trained()?.tokenizer().token_to_id(token))
    }

    fn save(&self, folder: &str) -> Result<()> {
        folder::save(self.trained()?, folder)
    }

    fn feed(&mut self, texts: Texts<'_>) -> Result<()> {
        let host = HostRef::clone(&self.host);
        let State::Learning(training) = &mut self.state else {
            return self.training().map(|_| ());
        };
        training.feed(texts, &self.threads, &host)
    }

    fn finish_training(&mut self) -> Result<()> {
        let host = HostRef::clone(&self.host);
        let training = self.training()?;
        let tokenizer = training.finish(&host)?;
        let config = training.config();
        let settings = folder::trained_settings(config.algorithm, config.model_max_length);
        let trained = Trained::new(tokenizer, Roles::of(config.algorithm), settings)?;
        self.state = State::Ready(Box::new(trained));
        Ok(())
    }
}
