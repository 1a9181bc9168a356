export interface HandledObservation {
  readonly stream: string;
  readonly outcome: 'handled' | 'failed' | 'timed-out';
  /** In the handler. */
  readonly handlerMs: number;
  /** From the publisher's stamp to the end of the handler, both by wall clocks: of two hosts, as a rule. */
  readonly endToEndMs: number;
  readonly deliveryCount: number;
}

export interface DeadLetterObservation {
  readonly stream: string;
  readonly group: string;
  readonly entryId: string;
  readonly code: string;
  readonly messageType: string | undefined;
}

/** Told of what a consumer does. Called synchronously; what it throws is logged and changes nothing. */
export interface ConsumerObserver {
  handled?(observation: HandledObservation): void;
  deadLettered?(observation: DeadLetterObservation): void;
}

/** Conservative mode as a consumer sees it. */
export interface ConservativeMode {
  isConservative(): boolean;
  /** Called on every change; returns how to unsubscribe. */
  subscribe(listener: () => void): () => void;
}
