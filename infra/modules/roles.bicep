@description('The name of the account of the Functions host.')
param hostStorageName string

@description('The name of the account that holds the state.')
param stateStorageName string

@description('The name of the Application Insights component.')
param componentName string

@description('The object id of the identity of the app.')
param principalId string

@description('Whether the state lies in tables of that account.')
param stateInStorage bool

var roles = loadJsonContent('../roles.json')

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: hostStorageName
}

resource stateStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: stateStorageName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

// Named by whom they are for, as in access.bicep: an account may outlive the identity (its lock keeps it), and then keeps
// the assignment of the identity that was deleted.

// The host's locks, keys and the state of its timers, and the package.
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(hostStorage.id, principalId, roles['Storage Blob Data Owner'])
  scope: hostStorage
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Storage Blob Data Owner']
    )
  }
}

// Tables alone: the app has no right to the dead letters beside them.
resource stateTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (stateInStorage) {
  name: guid(stateStorage.id, principalId, roles['Storage Table Data Contributor'])
  scope: stateStorage
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Storage Table Data Contributor']
    )
  }
}

resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, principalId, roles['Monitoring Metrics Publisher'])
  scope: component
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles['Monitoring Metrics Publisher']
    )
  }
}
