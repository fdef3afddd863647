-- The same request as k6.js, closed loop: wrk -t1 -c16 -d20s --latency -s loadtest/peers/null/wrk.lua http://127.0.0.1:18099/sessions
wrk.method = "POST"
wrk.body = '{"terminal":"K1","cardSerial":"NULL-CARD-1","cityCode":"991007"}'
wrk.headers["content-type"] = "application/json"
