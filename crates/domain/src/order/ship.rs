//! What is sent to the buyer, and arrives. The saga has ended by then: the order stays COMPLETED.
//!
//! Either an order is cancelled or it is sent: whichever its row sees first
//! (test: `an_order_is_cancelled_or_sent_and_never_both`).

use jangbu_kernel::Time;

use super::command::{Reject, Units};
use super::model::{Order, Range, Shipment, State};
use super::units::{Which, free, take};

const SHIPMENTS: usize = 999;

/// The units of the next shipment.
pub(super) fn units(order: &Order, wanted: Option<&[Units]>) -> Result<Vec<Range>, Reject> {
    if order.state != State::Completed {
        return Err(Reject::OrderNotShippable { state: order.state });
    }
    if order.shipments.len() >= SHIPMENTS {
        return Err(Reject::TooManyShipments);
    }
    let here = free(order, Which::Unshipped);
    let units = take(order, here, wanted, |sku| Reject::ShipmentExceedsOrder { sku })?;
    if units.is_empty() { Err(Reject::NothingToShip) } else { Ok(units) }
}

/// Hands them to the carrier. The shipment's number.
pub(super) fn send(
    order: &mut Order,
    units: Vec<Range>,
    (carrier, tracking): (&str, &str),
    now: Time,
) -> u32 {
    let no = order.shipments.last().map_or(0, |last| last.no).saturating_add(1);
    order.shipments.push(Shipment {
        no,
        units,
        carrier: carrier.into(),
        tracking: tracking.into(),
        shipped_at: now,
        delivered_at: None,
    });
    no
}

/// Whether it is known already that shipment `no` has arrived.
pub(super) fn has_arrived(order: &Order, no: u32) -> Result<bool, Reject> {
    let found = order.shipments.iter().find(|shipment| shipment.no == no);
    let shipment = found.ok_or(Reject::ShipmentUnknown { no })?;
    Ok(shipment.delivered_at.is_some())
}

/// It has.
pub(super) fn arrive(order: &mut Order, no: u32, now: Time) {
    if let Some(shipment) = order.shipments.iter_mut().find(|shipment| shipment.no == no) {
        shipment.delivered_at = Some(now);
    }
}
