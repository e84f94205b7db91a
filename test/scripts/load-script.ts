/**
 * A module of scripts/setup/, which is plain JavaScript so that it runs before anything is installed: the caller
 * states the part of it that is tested.
 */
export async function loadScript<T>(name: string): Promise<T> {
  return (await import(new URL(`../../scripts/setup/${name}`, import.meta.url).href)) as T;
}
