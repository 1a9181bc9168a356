/** What was handed in, on its way to the transform. */
export class Payload {
  readonly id: string;
  /** Of the body as it came; known although the body may be gone. */
  readonly sizeBytes: number;
  #body: Buffer | undefined;

  constructor(id: string, body: Buffer) {
    this.id = id;
    this.sizeBytes = body.length;
    this.#body = body;
  }

  /**
   * The body, once. The one who waits for the delivery has this object until the end: with the body in it, 38 MB of every
   * payload would be kept twice, as it came and as it is written.
   */
  take(): Buffer {
    const body = this.#body;
    if (body === undefined) throw new Error(`payload ${this.id} was taken already`);
    this.#body = undefined;
    return body;
  }
}

/** What is written and told of. */
export interface Parcel {
  readonly id: string;
  /** Of the payload that it was made of. */
  readonly sizeBytes: number;
  readonly bytes: Buffer;
  /** Of the file: '.gz'. */
  readonly ending: string;
}
