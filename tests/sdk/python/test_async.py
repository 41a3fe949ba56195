"""The asynchronous client: another HTTP stack, the same vault."""

import asyncio

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets.aio import SecretClient
from conftest import VAULT


def test_the_asynchronous_client_does_the_same(name):
    async def life():
        async with DefaultAzureCredential() as credential, SecretClient(VAULT, credential) as client:
            made = await asyncio.gather(*(client.set_secret(f"{name}-{number}", "v") for number in range(30)))
            listed = [of.name async for of in client.list_properties_of_secrets()]
            assert {secret.name for secret in made} <= set(listed)
            first = made[0].name
            await client.update_secret_properties(first, content_type="text/plain")
            assert (await client.get_secret(first)).properties.content_type == "text/plain"
            await client.delete_secret(first)
            with pytest.raises(ResourceNotFoundError):
                await client.get_secret(first)
            await client.recover_deleted_secret(first)
            assert (await client.get_secret(first)).value == "v"
            await client.delete_secret(first)
            await client.purge_deleted_secret(first)
            assert [of async for of in client.list_properties_of_secret_versions(first)] == []

    asyncio.run(life())
