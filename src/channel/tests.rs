use super::*;
use std::future::Future;
use tokio::time::{advance, timeout};

/// Whether `future` is still waiting after every other task had its turn (time is paused).
async fn waits(future: impl Future) -> bool {
    timeout(Duration::from_millis(1), future).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn keeps_order_and_ends_with_the_sender() {
    let (mut sender, mut receiver) = channel(100);
    for n in 0..5 {
        sender.send(n, 10).await.unwrap();
    }
    drop(sender);
    for n in 0..5 {
        assert_eq!(receiver.recv().await.unwrap().0, n);
    }
    assert!(receiver.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn i6_counts_a_taken_item_until_its_permit_is_dropped() {
    let (mut sender, mut receiver) = channel(100);
    let gauge = sender.gauge();
    sender.send('a', 60).await.unwrap();
    let (_, permit) = receiver.recv().await.unwrap();
    assert_eq!((gauge.in_flight_bytes(), permit.weight()), (60, 60));
    assert!(waits(sender.send('b', 41)).await, "taken is not committed");
    drop(permit);
    assert_eq!(gauge.in_flight_bytes(), 0);
    sender.send('b', 41).await.unwrap();
    sender.send('c', 59).await.unwrap();
    assert_eq!(gauge.in_flight_bytes(), gauge.limit());
}

#[tokio::test(start_paused = true)]
async fn an_oversized_item_travels_alone() {
    let (mut sender, mut receiver) = channel(100);
    sender.send("small", 1).await.unwrap();
    assert!(waits(sender.send("huge", 1000)).await);
    drop(receiver.recv().await.unwrap());
    sender.send("huge", 1000).await.unwrap();
    assert_eq!(sender.gauge().in_flight_bytes(), 1000);
    assert!(waits(sender.send("small", 1)).await, "nothing travels beside it");
    drop(receiver.recv().await.unwrap());
    sender.send("small", 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiting_sender_hears_that_the_receiver_is_gone() {
    let (mut sender, receiver) = channel(10);
    sender.send(0, 10).await.unwrap();
    let waiting = tokio::spawn(async move { sender.send(1, 10).await });
    tokio::task::yield_now().await;
    drop(receiver);
    assert_eq!(waiting.await.unwrap(), Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn queued_items_are_released_with_the_receiver() {
    let (mut sender, receiver) = channel(10);
    let gauge = sender.gauge();
    sender.send(0, 10).await.unwrap();
    drop(receiver);
    assert_eq!(gauge.in_flight_bytes(), 0);
    assert_eq!(sender.send(1, 1).await, Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn the_time_spent_waiting_counts_while_it_lasts_and_when_cancelled() {
    let (mut sender, mut receiver) = channel(10);
    let gauge = receiver.gauge();
    sender.send(0, 10).await.unwrap();
    assert_eq!(gauge.waited(), Duration::ZERO);
    let waiting = tokio::spawn(async move { sender.send(1, 1).await.map(|()| sender) });
    tokio::task::yield_now().await;
    advance(Duration::from_secs(3)).await;
    assert_eq!(gauge.waited(), Duration::from_secs(3));
    drop(receiver.recv().await.unwrap());
    let mut sender = waiting.await.unwrap().unwrap();
    advance(Duration::from_secs(5)).await;
    assert_eq!(gauge.waited(), Duration::from_secs(3));
    assert!(timeout(Duration::from_secs(2), sender.send(2, 10)).await.is_err());
    assert_eq!(gauge.waited(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn recv_loses_nothing_when_cancelled() {
    let (mut sender, mut receiver) = channel(10);
    assert!(waits(receiver.recv()).await);
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Empty);
    sender.send(7, 1).await.unwrap();
    assert_eq!(receiver.try_recv().unwrap().0, 7);
    drop(sender);
    assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn weightless_items_are_bounded_too() {
    let (mut sender, _receiver) = channel(2);
    sender.send((), 0).await.unwrap();
    sender.send((), 0).await.unwrap();
    assert!(waits(sender.send((), 0)).await);
}

#[tokio::test]
async fn i6_holds_between_threads() {
    let (mut sender, mut receiver) = channel(1000);
    let gauge = sender.gauge();
    let sending = tokio::spawn(async move {
        for n in 0..2000_usize {
            sender.send(n, n % 700).await.unwrap();
        }
    });
    let mut held = std::collections::VecDeque::new();
    let mut next = 0;
    while next < 2000 {
        match receiver.try_recv() {
            Ok((n, permit)) => {
                assert_eq!(n, next);
                next += 1;
                held.push_back(permit);
            }
            Err(_) => {
                held.pop_front();
                tokio::task::yield_now().await;
            }
        }
        assert!(gauge.in_flight_bytes() <= 1000);
    }
    sending.await.unwrap();
}
