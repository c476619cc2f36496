/** Numbers with the units of panels, about as Grafana writes them. */

type Scale = readonly (readonly [factor: number, suffix: string])[];

const SHORT: Scale = [[1e9, ' Bil'], [1e6, ' Mil'], [1e3, ' K'], [1, '']]; // prettier-ignore
const BYTES: Scale = [[2 ** 40, ' TiB'], [2 ** 30, ' GiB'], [2 ** 20, ' MiB'], [2 ** 10, ' KiB'], [1, ' B']]; // prettier-ignore
const RATE: Scale = [[1e12, ' TB/s'], [1e9, ' GB/s'], [1e6, ' MB/s'], [1e3, ' kB/s'], [1, ' B/s']]; // prettier-ignore
const HERTZ: Scale = [[1e9, ' GHz'], [1e6, ' MHz'], [1e3, ' kHz'], [1, ' Hz']]; // prettier-ignore
const SECONDS: Scale = [[86_400, ' days'], [3600, ' hours'], [60, ' mins'], [1, ' s'], [1e-3, ' ms'], [1e-6, ' µs']]; // prettier-ignore
const WATT: Scale = [
  [1e3, ' kW'],
  [1, ' W'],
];

const SUFFIX: Readonly<Record<string, string>> = {
  cps: ' c/s',
  ops: ' ops/s',
  reqps: ' req/s',
  celsius: ' °C',
};

/** As `1.5 GiB`, `38.2%`, `120 ms`. */
export function formatValue(value: number, unit: string, decimals?: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  switch (unit) {
    case 'none':
      return digits(value, decimals);
    case 'percent':
      return `${digits(value, decimals)}%`;
    case 'percentunit':
      return `${digits(value * 100, decimals)}%`;
    case 'bytes':
      return scaled(value, BYTES, decimals);
    case 'Bps':
      return scaled(value, RATE, decimals);
    case 'hertz':
      return scaled(value, HERTZ, decimals);
    case 's':
      return scaled(value, SECONDS, decimals);
    case 'watt':
      return scaled(value, WATT, decimals);
    default:
      return scaled(value, SHORT, decimals) + (SUFFIX[unit] ?? '');
  }
}

function scaled(value: number, scale: Scale, decimals?: number): string {
  const size = Math.abs(value);
  const [factor, suffix] = scale.find(([from]) => size >= from) ?? (size === 0 ? scale.find(([f]) => f === 1) : scale.at(-1))!; // prettier-ignore
  return digits(value / factor, decimals) + suffix;
}

/** Three significant digits by default, without trailing zeros. */
function digits(value: number, decimals?: number): string {
  if (decimals !== undefined) return value.toFixed(decimals);
  const size = Math.abs(value);
  if (size === 0) return '0';
  return String(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)));
}
