//! Runs only while this instance leads, in hot standby; always, without.

use std::sync::Arc;

use super::{Ended, Relay, run_once};
use crate::checkpoint::store::Store;
use crate::delivery::Memory;
use crate::error::Result;
use crate::failpoint;
use crate::kafka;
use crate::outbox::Large;
use crate::shutdown::Shutdown;
use crate::standby::{Membership, News, Term};

/// The instance's place among those of its relay.
#[derive(Debug, Default)]
pub(super) struct Leadership {
    membership: Option<Membership>,
    term: Option<Term>,
}

impl Leadership {
    /// One run; in hot standby as soon as this instance leads. A run that ends because another one leads is followed by
    /// waiting again. Ends with `Ok` when the process drains.
    ///
    /// # Errors
    /// As [`run_once`]; the instance then still leads, as far as it knows.
    pub(super) async fn run_once(
        &mut self,
        relay: &Relay,
        memory: &mut Memory,
        large: Option<Arc<Large>>,
        process: &Shutdown,
    ) -> Result<Ended> {
        if !relay.config.ha.standby {
            return run_once(relay, memory, large, process).await;
        }
        loop {
            let Some(end) = self.lead(relay, memory, process).await? else { return Ok(Ended::Drained) };
            let ended = run_once(relay, memory, large.clone(), &end).await;
            if process.drain.is_cancelled() {
                return ended;
            }
            match ended {
                Err(error) if memory.superseded => {
                    tracing::warn!(error = error.chain(), "standing by");
                    self.resign(relay, memory).await?;
                }
                ended if !end.drain.is_cancelled() => return ended,
                Err(error) => tracing::warn!(error = error.chain(), "the last run of this term; nothing is lost"),
                Ok(_) => {}
            }
        }
    }

    /// Waits for what ends the present term; for ever without one.
    pub(super) async fn ended(&self) {
        match &self.term {
            Some(term) => term.end.drain.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until this instance leads; `None` if the process drains before.
    async fn lead(&mut self, relay: &Relay, memory: &mut Memory, process: &Shutdown) -> Result<Option<Shutdown>> {
        if let Some(term) = &self.term {
            if !term.end.drain.is_cancelled() {
                return Ok(Some(term.end.clone()));
            }
            tracing::info!("this instance does not lead any more");
            failpoint::hit("revoke_begin")?;
            memory.resign();
            relay.status.joining();
            self.term = None;
            failpoint::hit("revoke_done")?;
        }
        let term = tokio::select! {
            biased;
            () = process.drain.cancelled() => return Ok(None),
            term = relay.status.ticking(Box::pin(self.next_term(relay, process))) => term?,
        };
        tracing::info!("this instance leads");
        relay.status.leading();
        let end = term.end.clone();
        self.term = Some(term);
        Ok(Some(end))
    }

    async fn next_term(&mut self, relay: &Relay, process: &Shutdown) -> Result<Term> {
        loop {
            match self.news(relay, process).await? {
                News::Joined => relay.status.standing_by(),
                News::Lost => relay.status.joining(),
                News::Leads(term) if term.end.drain.is_cancelled() => relay.status.joining(),
                News::Leads(term) => return Ok(term),
            }
        }
    }

    /// What the group says next; joins it first.
    async fn news(&mut self, relay: &Relay, process: &Shutdown) -> Result<News> {
        let membership = match &mut self.membership {
            Some(membership) => membership,
            None => {
                relay.status.joining();
                let metrics = Arc::clone(&relay.metrics);
                let store = Store::open(&relay.config, Arc::clone(&metrics)).await?;
                let (topic, partition) = (store.topic().to_owned(), store.partitions() - 1);
                // Its consumers take a while to close.
                kafka::blocking(move || {
                    drop(store);
                    Ok(())
                })
                .await?;
                self.membership.insert(Membership::join(&relay.config, (&topic, partition), process, metrics)?)
            }
        };
        let news = membership.next().await.and_then(|news| match news {
            News::Joined => failpoint::hit("group_joined").map(|()| news),
            _ => Ok(news),
        });
        if news.is_err() {
            self.membership = None;
        }
        news
    }

    /// Another instance writes although the group has not said so: whatever this one knows is out of date.
    async fn resign(&mut self, relay: &Relay, memory: &mut Memory) -> Result<()> {
        memory.resign();
        relay.status.joining();
        self.leave().await
    }

    /// Leaves the group, so that another instance leads at once.
    ///
    /// # Errors
    /// As [`Membership::next`].
    pub(super) async fn leave(&mut self) -> Result<()> {
        self.term = None;
        match self.membership.take() {
            Some(membership) => membership.leave().await,
            None => Ok(()),
        }
    }
}
