/** gRPC status codes by name, numbered as in the gRPC specification; kept here so that threads need not load gRPC. */

export const STATUS_CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Name of a gRPC status other than OK, such as `NOT_FOUND`. */
export type StatusName = Exclude<keyof typeof STATUS_CODES, 'OK'>;

const NAMES = new Map(Object.entries(STATUS_CODES).map(([name, code]) => [code as number, name]));

/** Name of a code; UNKNOWN if it is not a failure code. */
export function statusName(code: number | undefined): StatusName {
  const name = code === undefined ? undefined : NAMES.get(code);
  return name === undefined || name === 'OK' ? 'UNKNOWN' : (name as StatusName);
}
