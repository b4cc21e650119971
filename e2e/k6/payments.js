// Load on the compatible payment API, as existing payment clients make it: random merchants, a key
// in the body, no authentication. Every payment is authorised, captured at once, and one in ten is
// given back.
//
//   k6 run e2e/k6/payments.js                                  300 payments a second for 30 s
//   k6 run -e RATE=1000 -e SECONDS=60 -e BASE=http://127.0.0.1:7070 e2e/k6/payments.js
//
// The server has to run with JANGBU__PAYMENTS__UNSIGNED=true, which it allows on loopback alone.

import http from 'k6/http';
import { check } from 'k6';
import { Rate, Trend } from 'k6/metrics';

const BASE = __ENV.BASE || 'http://127.0.0.1:7070';
const RATE = Number(__ENV.RATE || 300);
const SECONDS = Number(__ENV.SECONDS || 30);
const RUN = __ENV.RUN || String(Date.now());

const wrong = new Rate('payment_errors');
const authorizeMs = new Trend('authorize_ms', true);
const captureMs = new Trend('capture_ms', true);
const refundMs = new Trend('refund_ms', true);

export const options = {
  scenarios: {
    payments: {
      executor: 'constant-arrival-rate',
      rate: RATE,
      timeUnit: '1s',
      duration: `${SECONDS}s`,
      preAllocatedVUs: 200,
      maxVUs: 1500,
    },
  },
  thresholds: {
    http_req_failed: ['rate<0.05'],
    http_req_duration: ['p(95)<1000'],
    payment_errors: ['rate<0.002'],
    authorize_ms: ['p(95)<500'],
    capture_ms: ['p(95)<600'],
    refund_ms: ['p(95)<700'],
    dropped_iterations: ['count<1'],
  },
  summaryTrendStats: ['avg', 'p(50)', 'p(95)', 'p(99)', 'max'],
};

function whole(from, to) {
  return from + Math.floor(Math.random() * (to - from + 1));
}

function send(path, body, trend) {
  const answer = http.post(`${BASE}/api/payments/${path}`, JSON.stringify(body), {
    headers: { 'Content-Type': 'application/json' },
    tags: { name: path.split('/')[0] },
  });
  trend.add(answer.timings.duration);
  // A conflict is an answer: older clients count it as one.
  const good = check(answer, { 'status is 200 or 409': (r) => r.status === 200 || r.status === 409 });
  wrong.add(!good);
  return answer;
}

export default function () {
  const merchantId = String(whole(1, 1000));
  const authorized = send('authorize', {
    merchantId,
    amount: whole(1, 50) * 1000,
    currency: 'KRW',
    idempotencyKey: `${RUN}-${__VU}-${__ITER}`,
  }, authorizeMs);
  const paymentId = authorized.json('paymentId');
  const named = check(paymentId, { 'the answer names its payment': (id) => Boolean(id) });
  if (!named || authorized.status !== 200) {
    return;
  }
  const captured = send(`capture/${paymentId}`, { merchantId }, captureMs);
  if (captured.status === 200 && Math.random() < 0.1) {
    send(`refund/${paymentId}`, { merchantId, reason: 'changed my mind' }, refundMs);
  }
}
