/**
 * The requirements that tests name in their titles. `required` ones must have a test now; of the others the table
 * shows what is there.
 */

/** @typedef {{ id: string, text: string, required: boolean }} Requirement */

/** @type {[id: string, text: string][]} */
const now = [
  [
    'R-F1',
    'EmergencySignal in Leyline: round trip, every enum value, unknown fields ignored and kept, older readers unharmed',
  ],
  ['R-F2', 'Shared enums and messages only in protobuf; a check finds local mirrors'],
  ['R-F3', 'Escalation at level 3 and above publishes to the emergency stream and sets the flag'],
  [
    'R-F4',
    'Weatherlight subscribes, emits CRITICAL telemetry tagged source=weatherlight with a summary, orchestrates the halt, counts weatherlight.emergency.detections_total',
  ],
  ['R-F5', 'Latency and success counters of the path'],
  [
    'R-F6',
    'Under 100 ms from trigger to published: an integration test proves the order and records the time, also while the trainer’s loop is busy',
  ],
  [
    'R-F7',
    'Ordering and bypass caps: a loss spike raises ELEVATED; an explosion, NaN or Inf CONSERVATIVE; the guard clears its own raise when the run is well again',
  ],
  ['R-F8', 'TOLARIA_EMERGENCY_FAST_PATH_ENABLED off falls back to the telemetry queue'],
  [
    'R-F9',
    'SharedEmergencySignal in EmergencyController.escalate() and in Weatherlight’s monitor; per-process fallback with tolaria.emergency.shared_signal_degraded=1 and a logged reason',
  ],
  ['R-F10', 'Cross-process visibility, timestamp semantics, detection with Oona disabled'],
  ['R-F11', 'Publishing never blocks the trainer'],
  ['R-F12', 'A script reports emergency publish latency'],
  ['R-B1', 'Wake without polling'],
  ['R-B7', 'The ring as outbox: a trainer killed right after HALT is still heard everywhere'],
  ['R-B2', 'No lost trigger whoever dies; proofs'],
  ['R-B3', 'Wait-free histograms across processes, readable after the writer’s death'],
  ['R-B5', 'Liveness slots, hang detection by phase'],
  ['R-B6', 'Deadlines enforced although the event loop is blocked'],
  ['R-B9', 'Documented segment layout for other languages'],
  ['R-X5', 'Installs without scripts; floor of Node and glibc stated'],
  [
    'R-W1',
    'Settings resolved and logged with secrets masked; missing ESPER_LEYLINE_SECRET exits non-zero; groups ensured',
  ],
  ['R-W7', 'SIGINT / SIGTERM: cancel, drain with a deadline, close'],
  ['R-O1', 'Oona: publish and consume, signing, priority routing, metrics (first part)'],
  ['BAD-segment-foreign-owner', 'A segment that another user owns'],
  ['BAD-segment-world-writable', 'A segment that everybody may write'],
  ['BAD-segment-truncated', 'A segment shorter than its header says'],
  ['BAD-segment-oversized', 'A segment longer than its header says, or than any may be'],
  ['BAD-segment-wrong-magic', 'A file that is no segment'],
  ['BAD-segment-newer-major', 'A segment of a newer major version'],
  ['BAD-segment-half-initialised', 'A segment whose creator died before it was ready'],
  ['BAD-segment-garbage', 'A segment full of random bytes'],
  ['BAD-name-slash', 'A signal name with slashes'],
  ['BAD-name-empty', 'An empty signal name'],
  ['BAD-name-long', 'A signal name of 300 characters'],
  ['BAD-level-0', 'A trigger at level 0'],
  ['BAD-level-9', 'A trigger at level 9'],
  ['BAD-reason-10kb', 'A reason of 10 KB'],
  ['BAD-reason-nul', 'A reason with NUL in it'],
  ['BAD-reason-split-surrogate', 'A reason with half a surrogate pair'],
  ['BAD-envelope-empty', 'An empty envelope'],
  ['BAD-envelope-truncated', 'A truncated envelope'],
  ['BAD-envelope-64mib', 'An envelope of 64 MiB'],
  ['BAD-envelope-unsigned', 'An envelope without a signature'],
  ['BAD-envelope-other-key', 'An envelope signed with another key'],
  ['BAD-signature-non-ascii', 'A signature with non-ASCII characters'],
  ['BAD-unknown-message-type', 'A message type that nobody knows'],
  ['BAD-unknown-enum-value', 'An enum value that nobody knows'],
];

/** @type {[id: string, text: string][]} */
const later = [
  [
    'R-W2',
    'Urza library and prefetch worker, Kasmina manager and coordinator, Tamiyo policy consumer, each supervised',
  ],
  ['R-W3', 'Prefetch end to end: request, ready or error, Kasmina attaches'],
  ['R-W4', 'Stale issued_at or replayed request_id dropped, counted, tunable'],
  ['R-W5', 'Telemetry every 10 s under the agreed names'],
  ['R-W6', 'In-memory health snapshot'],
  ['R-W8', 'esper-weatherlight-service, compose file, health probe, operations manual'],
  ['R-W9', 'Telemetry ingested by Nissa'],
  ['R-O2', 'Rolling histograms of publish and consume latency, depth delta per publish'],
  ['R-O3', 'Periodic health telemetry and /healthz'],
  ['R-O4', 'One priority map, tested from NORMAL to EMERGENCY'],
  ['R-O5', 'Back-pressure SLOs, reroute and drop counters, default alerts'],
  ['R-O6', 'Dead-letter auditor'],
  ['R-O7', 'Freshness: boundary, expiry, replay, under load'],
  ['R-E1', 'ErrorEvent'],
  ['R-E2', 'The pipeline.error.* types and their codes'],
  ['R-E3', 'Memory monitor: thresholds, cgroup v1 and v2, MEMORY_LIMIT, explicit'],
  ['R-E4', 'Saturation and back-pressure events'],
  ['R-E5', 'A dedicated error bus that never blocks'],
  ['R-E6', 'Breakers around adapters and emitters'],
  ['R-E7', 'Graceful degradation and recovery'],
  ['R-E8', 'Error handlers: log, metrics, shutdown'],
  ['R-E9', 'Configuration by options'],
  ['R-E10', 'Stress under a real memory limit; error events visible in Prometheus and Grafana'],
  ['R-E11', 'Engine with internal, external and error bus, adapters, emitters'],
  ['R-X1', 'Key ring and rotation'],
  ['R-X2', 'TLS, ACL, Sentinel, Cluster'],
  ['R-X3', 'Trace context'],
  ['R-X4', 'The segment’s lifetime and removal'],
  ['R-X6', 'A generated table from requirements to tests'],
  ['R-B4', 'Halt acknowledgements with stragglers named'],
  ['R-B8', 'Snapshots in shared memory that survive SIGKILL'],
  ['R-B10', 'A live status page'],
];

/** @type {Requirement[]} */
export const requirements = [
  ...now.map(([id, text]) => ({ id, text, required: true })),
  ...later.map(([id, text]) => ({ id, text, required: false })),
];
