import { readFileSync } from 'node:fs';
import { RondoError } from '../../runtime/errors.js';
import { tokenVariable } from '../../runtime/grpc/credentials.js';

/**
 * The run's token from `file`, else from the environment, where it is not left for processes that this one
 * starts.
 *
 * @throws RondoError unauthenticated when there is neither; what the file system says when the file cannot be
 *   read.
 */
export function readToken(file: string | undefined, environment: NodeJS.ProcessEnv): string {
  const { [tokenVariable]: inherited } = environment;
  delete environment[tokenVariable];
  const token = file === undefined ? inherited?.trim() : readTokenFile(file);
  if (token !== undefined && token !== '') return token;
  const where = file === undefined ? 'no token was given' : `${file} is empty`;
  throw new RondoError(
    'unauthenticated',
    `${where}: a worker proves by its run's token that it belongs to the run`,
    {
      remedy: `give --token-file FILE, which the coordinator names when it waits for workers, or put the token in ${tokenVariable}`,
    },
  );
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const { code, message } = RondoError.from(cause);
    throw new RondoError(code, `the token cannot be read: ${message}`, {
      remedy:
        'take the file that the coordinator names when it waits for workers; it is gone once the run is over',
      cause,
    });
  }
}
