/** `ballast token new`: a token for the public API, shown once, and the entry that lets it in. */
import type { Command } from 'commander';
import { UserError } from '../../common/errors.ts';
import { newToken, type Scope, SCOPES, TOKEN_NAME } from '../../common/tokens.ts';
import type { CommandContext } from '../base/context.ts';

const EXAMPLES = `
Examples:
  ballast token new --name ci --scope submit
  ballast token new --name dashboard --scope read --rate 5 --burst 20 --expires-days 90
`;

const DAY_MS = 86_400_000;
const MOST_DAYS = 36_500;

interface TokenFlags {
  readonly name: string;
  readonly scope: string;
  readonly rate?: string;
  readonly burst?: string;
  readonly expiresDays?: string;
  readonly json?: boolean;
}

export function addTokenCommand(program: Command, context: CommandContext): void {
  const token = program
    .command('token')
    .summary('make tokens for the API')
    .description('Makes the tokens by which clients of a coordinator identify themselves.');
  const command = token
    .command('new')
    .summary('make a token')
    .description(
      'Prints a new random token, without storing it, and the entry to add to the file that `ballast coordinator --tokens` reads.',
    )
    .requiredOption('--name <name>', 'name of its holder; shown in logs and metrics')
    .requiredOption('--scope <scope>', `${SCOPES.join(', ')}: each includes those before it`)
    .option('--rate <calls>', 'calls allowed per second (default: no limit)')
    .option('--burst <calls>', 'calls allowed at once (default: the calls of one second)')
    .option('--expires-days <days>', 'days until it expires (default: never)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', EXAMPLES);
  command.action(() => void context.stdout.write(describeToken(command.opts<TokenFlags>())));
}

/** The output of the command. @throws UserError naming the flag that cannot work. */
export function describeToken(flags: TokenFlags, nowMs = Date.now()): string {
  const permission = permissionOf(flags, nowMs);
  const { token, sha256 } = newToken();
  const entry = { name: flags.name, sha256, ...permission };
  if (flags.json === true) return `${JSON.stringify({ token, entry })}\n`;
  const [first = '', ...others] = Object.entries(entry).map(
    ([key, value]) => `${key}: ${Array.isArray(value) ? `[${value.join(', ')}]` : value}`,
  );
  return [
    `The token, which is shown only once; keep it in a file that others cannot read:`,
    '',
    token,
    '',
    'The entry to add under `tokens:` in the file that --tokens names:',
    '',
    `  - ${first}`,
    ...others.map((line) => `    ${line}`),
    '',
  ].join('\n');
}

/** Permissions of the token's holder, the rate of its requests, and the end of its validity. */
function permissionOf({ name, scope, rate, burst, expiresDays }: TokenFlags, nowMs: number) {
  if (!TOKEN_NAME.test(name)) {
    throw new UserError(`--name ${name}: use 1 to 63 letters, digits, '-', '_' and '.'`);
  }
  if (!isScope(scope)) throw new UserError(`--scope ${scope}: it must be one of ${SCOPES.join(', ')}`);
  const ratePerSecond = parseAmount('--rate', rate, Number.MIN_VALUE);
  const atOnce = parseAmount('--burst', burst, 1);
  if (atOnce !== null && ratePerSecond === null) throw new UserError('--burst needs --rate');
  const days = parseAmount('--expires-days', expiresDays, Number.MIN_VALUE);
  if (days !== null && days > MOST_DAYS)
    throw new UserError(`--expires-days ${expiresDays}: it must be at most ${MOST_DAYS}`);
  return {
    scopes: [scope],
    ...(ratePerSecond === null ? {} : { ratePerSecond }),
    ...(atOnce === null ? {} : { burst: atOnce }),
    ...(days === null ? {} : { expires: new Date(nowMs + days * DAY_MS).toISOString() }),
  };
}

function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}

function parseAmount(flag: string, text: string | undefined, least: number): number | null {
  if (text === undefined) return null;
  const amount = text === '' ? NaN : Number(text);
  if (Number.isFinite(amount) && amount >= least) return amount;
  throw new UserError(`${flag} ${text}: it must be a number ${least === 1 ? 'of at least 1' : 'above 0'}`);
}
