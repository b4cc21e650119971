//! A running shop, seen by those who wait for it: told once, not at all when they hang up, and
//! refused by name when it takes no business.

use std::sync::mpsc::channel;

use jangbu_domain::order::model::{Order, Outcome};
use jangbu_engine::mailbox::Why;
use jangbu_kernel::OrderId;
use jangbu_kernel::time::Span;
use jangbu_services::registry::Rules;

use crate::races::{PATIENCE, in_memory};
use crate::rig::Seen;
use crate::stage::place;

#[test]
fn who_waits_is_told_once_and_who_hangs_up_is_not() {
    in_memory(|world| {
        world.stock(0, 2);
        let (told, heard) = channel();
        let watch = |name: &'static str, id| {
            let told = told.clone();
            let tell = move |order: &Order| told.send((name, order.outcome)).unwrap();
            world.shop.hub().watch(OrderId(id), tell)
        };
        let (one, two) = (world.id(), world.id());
        let gone = watch("gone", one);
        watch("stays", one);
        let alone = watch("alone", two);
        world.shop.hub().forget(gone);
        world.shop.hub().forget(gone);
        world.shop.hub().forget(alone);
        for id in [one, two] {
            let ended = world.watch(id);
            assert!(world.run(place(id, &[(0, 1)], "tok_visa")).is_done());
            assert_eq!(ended.recv_timeout(PATIENCE).unwrap().outcome, Some(Outcome::Sold));
        }
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [("stays", Some(Outcome::Sold))]);
    });
}

#[test]
fn a_shop_that_takes_no_business_says_so_and_ends_what_it_has_begun() {
    in_memory(|world| {
        world.stock(0, 2);
        let (shop, order) = (&world.shop, world.id());
        let ended = world.watch(order);
        assert!(world.run(place(order, &[(0, 1)], "tok_visa")).is_done());
        shop.set_read_only(true);
        assert_eq!(shop.read_only(), Some(Why::ReadOnly));
        let late = place(world.id(), &[(0, 1)], "tok_visa");
        assert_eq!(world.run(late), Seen::NotRun(Why::ReadOnly));
        assert_eq!(ended.recv_timeout(PATIENCE).unwrap().outcome, Some(Outcome::Sold));
        shop.set_read_only(false);
        assert_eq!((shop.read_only(), shop.waiting(), shop.gateway_open()), (None, 0, None));
        assert_eq!((shop.calls().started, shop.calls().answered), (1, 1));
        let (first, next) = (shop.mint_block(3), shop.mint());
        assert!(next > first);
        shop.close(PATIENCE).unwrap();
        let closed = place(world.id(), &[(0, 1)], "tok_visa");
        assert_eq!(world.run(closed), Seen::NotRun(Why::Stopping));
    });
}

#[test]
fn every_pause_is_scaled_alike() {
    let (whole, half) = (Rules::new("sim"), Rules::new("sim").scaled(50));
    let of = |rules: &Rules| -> Vec<Span> {
        let (order, payment) = (&rules.order, &rules.payment);
        let one = [order.ask, order.hold, order.call, order.grace, order.again, order.again_max];
        let two = [order.refund, payment.call_timeout, payment.not_found_age, payment.give_up];
        let lists = order.inquiries.iter().chain(&payment.inquiries).copied();
        one.into_iter().chain(two).chain(lists).collect()
    };
    let halved: Vec<Span> = of(&whole).iter().map(|span| Span(span.0 / 2)).collect();
    assert_eq!(of(&half), halved);
    assert!(halved.iter().all(|span| span.0 > 0));
}
