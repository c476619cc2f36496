/** The Python client of examples/api, where BALLAST_PEER_PYTHON names an interpreter that has grpcio. */
import { execFile, type ExecFileException, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../common/package-root.ts';

const ROOT = packageRoot();
export const PEER_PYTHON = process.env['BALLAST_PEER_PYTHON'] ?? '';
const MODULES = ['grpc', 'grpc_tools.protoc', 'google.rpc.status_pb2', 'google.rpc.error_details_pb2'];

export interface End {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why it cannot run here; null when it can. */
export const missingPython: string | null = missingModules(MODULES);

/** Those of these modules that the interpreter lacks; null for none. */
export function missingModules(modules: readonly string[]): string | null {
  if (PEER_PYTHON === '') return 'BALLAST_PEER_PYTHON is not set';
  const { status, stderr } = spawnSync(PEER_PYTHON, ['-c', `import ${modules.join(', ')}`], {
    encoding: 'utf8',
  });
  return status === 0 ? null : `${PEER_PYTHON}: ${stderr.trimEnd().split('\n').at(-1)}`;
}

/** Runs a program to its end. */
export function runProgram(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<End> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...process.env, ...env }, timeout: 240_000 };
    execFile(command, args, options, (error: ExecFileException | null, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

/** The client with stubs of its own, generated into `folder`. @throws Error when they cannot be. */
export async function pythonClient(folder: string) {
  const stubs = join(folder, 'stubs');
  mkdirSync(stubs);
  const outputs = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
  const proto = ['-I', join(ROOT, 'proto'), ...outputs, 'ballast/v1/coordinator.proto'];
  const made = await runProgram(PEER_PYTHON, ['-m', 'grpc_tools.protoc', ...proto]);
  if (made.code !== 0) throw new Error(`no stubs: ${made.stderr}`);
  const own = { PYTHONPATH: stubs, PYTHONDONTWRITEBYTECODE: '1' };
  return {
    /** Does `train.py SERVER CONFIG ID --class disc --out <folder>/<id>`. */
    train(
      server: string,
      config: string,
      id: string,
      env: Readonly<Record<string, string>> = {},
    ): Promise<End> {
      const program = join(ROOT, 'examples/api/python/train.py');
      const args = [program, server, config, id, '--class', 'disc', '--out', join(folder, id)];
      return runProgram(PEER_PYTHON, args, { ...own, ...env });
    },
  };
}
