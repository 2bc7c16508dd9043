// What the Plugin object says; config.schema.json has been checked by the host.

export interface Config {
  allow: string[];
  limit: number;
  claims: Record<string, string>;
  required: string[];
  reserved: string[];
}

export const config: Config = { allow: [], limit: 100, claims: {}, required: [], reserved: [] };
