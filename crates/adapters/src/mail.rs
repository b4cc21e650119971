//! Mail by SMTP, without TLS: the relay stands on this machine or in the same network, and speaks TLS to
//! the world. A connection for each mail, given up after ten seconds.
//!
//! | the server | the letter |
//! |---|---|
//! | takes it | is sent |
//! | does not answer, or breaks off | waits: the channel rests |
//! | 550, 551, 553: no such mailbox | is given up |
//! | any other refusal | is tried again later |
//!
//! What a server says may name the address that it refuses, so only the number of its answer is told.

use std::fmt;
use std::time::Duration;

use jangbu_kernel::Time;
use jangbu_services::notification::{Channel, Letter, Mail, Undelivered};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, SmtpTransport, Transport as _};

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers that mean: nobody has this address.
const NOBODY: [u16; 3] = [550, 551, 553];

/// A relay that takes mails.
pub struct Smtp {
    transport: SmtpTransport,
    from: Mailbox,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Smtp {
    /// The relay at `url` (`smtp://host:port`); mails are of `from`. The error is a sentence.
    pub fn new(url: &str, from: &str) -> Result<Self, String> {
        let place = url.strip_prefix("smtp://").ok_or("must begin with smtp://")?;
        let (host, port) = place.rsplit_once(':').ok_or("must be smtp://host:port")?;
        let port: u16 = port.parse().map_err(|_| "must be smtp://host:port")?;
        let from: Mailbox = from.parse().map_err(|_| "the sender must be as: Shop <shop@a.kr>")?;
        let transport = SmtpTransport::builder_dangerous(host.trim_matches(['[', ']']))
            .port(port)
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .build();
        Ok(Self { transport, from })
    }

    fn message(&self, mail: &Mail) -> Option<Message> {
        let Mail { id, to, name, subject, body } = mail;
        let address: Address = to.reveal().parse().ok()?;
        let name = Some(name.reveal().to_owned()).filter(|name| !name.is_empty());
        Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(Mailbox::new(name, address))
            .subject(subject.reveal())
            .header(ContentType::TEXT_PLAIN)
            .body(body.reveal().to_owned())
            .ok()
    }
}

impl Channel for Smtp {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn is_mail(&self) -> bool {
        true
    }

    fn send(&mut self, letter: &Letter, _now: Time) -> Result<(), Undelivered> {
        let Letter::Mail(mail) = letter else {
            return Err(Undelivered::Never("it is no mail".to_owned()));
        };
        let unfit = || Undelivered::Never("the address is none".to_owned());
        let message = self.message(mail).ok_or_else(unfit)?;
        let Err(error) = self.transport.send(&message) else { return Ok(()) };
        Err(match error.status().map(u16::from) {
            Some(code) if NOBODY.contains(&code) => {
                Undelivered::Never(format!("the server answered {code}"))
            }
            Some(code) => Undelivered::Later(format!("the server answered {code}")),
            None if error.is_client() => Undelivered::Never("it cannot be sent".to_owned()),
            None if error.is_timeout() => Undelivered::Away("the server is silent".to_owned()),
            None => Undelivered::Away("there is no server".to_owned()),
        })
    }
}
