/** The one place that says what a priority does to the way of a message. Every publish path asks it. */
import { BusMessageType, MessagePriority } from '../../leyline/messages.ts';
import type { BusMessage } from '../work-types.ts';
import { messageKind, type PublishRole } from './message-kinds.ts';

/** 'own': the stream of its type. */
export type PriorityRoute = 'own' | 'emergency';

export const PRIORITY_ROUTES: Readonly<Record<MessagePriority, PriorityRoute>> = Object.freeze({
  [MessagePriority.MESSAGE_PRIORITY_UNSPECIFIED]: 'own',
  [MessagePriority.MESSAGE_PRIORITY_LOW]: 'own',
  [MessagePriority.MESSAGE_PRIORITY_NORMAL]: 'own',
  [MessagePriority.MESSAGE_PRIORITY_HIGH]: 'emergency',
  [MessagePriority.MESSAGE_PRIORITY_CRITICAL]: 'emergency',
});

/** Key in a telemetry packet's `system_health.indicators` under which its priority is said, by name. */
const PRIORITY_INDICATOR = 'priority';

const NORMAL = MessagePriority.MESSAGE_PRIORITY_NORMAL;
const PRIORITIES_BY_NAME: ReadonlyMap<string, MessagePriority> = new Map(
  Object.entries(MessagePriority).filter(
    (pair): pair is [string, MessagePriority] => typeof pair[1] === 'number',
  ),
);

export function isPriority(value: unknown): value is MessagePriority {
  return typeof value === 'number' && Object.hasOwn(PRIORITY_ROUTES, value);
}

/** What the message says of itself: NORMAL, but for telemetry that indicates another one by a known name. */
export function indicatedPriority({ type, message }: BusMessage): MessagePriority {
  if (type !== BusMessageType.BUS_MESSAGE_TYPE_TELEMETRY) return NORMAL;
  const name = message.systemHealth?.indicators?.[PRIORITY_INDICATOR];
  return name === undefined ? NORMAL : (PRIORITIES_BY_NAME.get(name) ?? NORMAL);
}

export interface Route {
  /** Where the type belongs. */
  readonly own: PublishRole;
  /** Where it goes. */
  readonly to: PublishRole;
}

const EMERGENCY_ROUTES = new Map<PublishRole, Route>();
const OWN_ROUTES = new Map<PublishRole, Route>();

/** The route of a message; undefined when its type has none. `priority` undefined: what the message indicates. */
export function routeOf(message: BusMessage, priority: MessagePriority | undefined): Route | undefined {
  const own = messageKind(message.type as number)?.role;
  if (own === undefined) return undefined;
  const isUrgent = PRIORITY_ROUTES[priority ?? indicatedPriority(message)] === 'emergency';
  const routes = isUrgent ? EMERGENCY_ROUTES : OWN_ROUTES;
  let route = routes.get(own);
  if (route === undefined) {
    route = Object.freeze({ own, to: isUrgent ? 'emergency' : own });
    routes.set(own, route);
  }
  return route;
}
