// A guest program that runs on a cluster of this machine, in a folder of its own so that commands find no other.
//
// JVMCLUSTER: the command to test.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const kPatience = 60_000;  // milliseconds; the machine may be busy

export const repository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export async function jvmcluster(words, options = {}) {
  const { stdout } = await promisify(execFile)(process.env.JVMCLUSTER, words.map(String), { timeout: kPatience, ...options });
  return stdout;
}

export class Program {
  /** Resolves when the dashboard of `file`, run with these words, can be asked; that is its `url`. */
  static async start(file, { nodes, workers, balance = 'off', words = [] }) {
    const program = new Program();
    program.folder = await mkdtemp(join(tmpdir(), 'jvmc-browser-'));
    const { folder } = program;
    program.env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('JVMC_')));
    Object.assign(program.env, { XDG_RUNTIME_DIR: folder, XDG_CONFIG_HOME: folder, HOME: folder });
    program.process = spawn(process.env.JVMCLUSTER,
      ['run', '--nodes', nodes, '--workers', workers, '--balance', balance, '--dashboard', file, ...words].map(String),
      { env: program.env, stdio: ['ignore', 'ignore', 'pipe'] });
    const [line] = await once(createInterface(program.process.stderr), 'line', { signal: AbortSignal.timeout(kPatience) });
    program.url = /^jvmcluster: dashboard: (http:\S+)$/.exec(line)?.[1];
    if (!program.url) throw new Error(line);
    return program;
  }

  command(...words) {
    return jvmcluster(words, { env: this.env });
  }

  async threads() {
    return JSON.parse(await this.command('threads', '--json')).threads;
  }

  async end() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
    await rm(this.folder, { recursive: true });
  }
}
