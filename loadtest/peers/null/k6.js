// The opening of sessions at the same rate as plan.toml, open loop: k6 run --no-usage-report --quiet loadtest/peers/null/k6.js
import http from 'k6/http';

export const options = {
  discardResponseBodies: true,
  summaryTrendStats: ['med', 'p(90)', 'p(99)', 'p(99.9)', 'max'],
  scenarios: {
    open: { executor: 'constant-arrival-rate', rate: 2000, timeUnit: '1s', duration: '20s', preAllocatedVUs: 200, maxVUs: 2000 },
  },
};

export default function () {
  http.post('http://127.0.0.1:18099/sessions', '{"terminal":"K1","cardSerial":"NULL-CARD-1","cityCode":"991007"}', {
    headers: { 'content-type': 'application/json' },
  });
}
