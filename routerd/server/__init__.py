"""The asyncio shell: the only package that imports aiohttp."""
